package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.reward.Reward;
import dev.vard.spec.RunSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A run that stops before its end: what it says, and what it leaves behind. */
class FineTuningStoppedTest extends FineTuningBehaviour {
  @Test
  void shouldStopWhenARewardFails() throws IOException {
    AtomicInteger queries = new AtomicInteger();
    Reward reward =
        Reward.of("fickle", (image, prompt) -> queries.incrementAndGet() > 7 ? Double.NaN : 1);

    RunException e = failure(spec("threads=1"), reward);

    assertThat(e.code()).isEqualTo("REWARD_FAILED");
    assertThat(e)
        .hasMessageMatching(
            "while (sampling in iteration 1|the scores of iteration 1 were awaited): reward fickle:"
                + " gave NaN, not a finite number; prompt 'a (cat|dog)', seed \\d+"
                + " \\(NOT_FINITE\\)");
    assertThat(worker.all(FitValueRequest.class)).isEmpty();
    assertThat(metrics().getLast().get("event").asText()).isEqualTo("state_changed");
    assertThat(metrics().getLast().get("to").asText()).isEqualTo("FAILED");
    assertThat(metrics().getLast().get("reason_code").asText()).isEqualTo("REWARD_FAILED");
    assertThat(folder.resolve("run/export")).as("the adapter as it was").isNotEmptyDirectory();
    assertThat(worker.isOpen()).isFalse();
  }

  @Test
  void shouldTellTheWorkersErrorAndWhereItCame() throws IOException {
    worker.refuse(
        ImprovePolicyRequest.class, ErrorCode.NOT_FINITE, "the loss became NaN: lower the rate");

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e.code()).isEqualTo("NOT_FINITE");
    assertThat(e)
        .hasMessage(
            "while improving the policy in iteration 2: the loss became NaN: lower the rate");
    assertThat(metrics().getLast().get("reason_code").asText()).isEqualTo("NOT_FINITE");
  }

  @Test
  void shouldLetNoNumberThroughThatIsNotFinite() {
    worker.gradientNorm = Double.NaN;

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e.code()).isEqualTo("NOT_FINITE");
    assertThat(e)
        .hasMessageStartingWith(
            "while improving the policy in iteration 2: ImprovePolicy: the gradient's norm of step"
                + " 1 arrived as NaN");
  }

  @Test
  void shouldExportUncheckedWhenItStops() {
    worker.refuse(ImprovePolicyRequest.class, ErrorCode.NOT_FINITE, "the loss became NaN");

    failure(spec(), BRIGHTNESS);

    assertThat(worker.all(ExportRequest.class))
        .singleElement()
        .satisfies(request -> assertThat(request.getUnchecked()).isTrue());
  }

  @Test
  void shouldLeaveNoFileWhereTheExportFailedItsCheck() throws IOException {
    worker.refuse(ExportRequest.class, ErrorCode.INCONSISTENT, "export: it draws other pictures");

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e.code()).isEqualTo("INCONSISTENT");
    assertThat(e.remedy()).isEqualTo(RunException.Remedy.NONE);
    assertThat(worker.all(ExportRequest.class)).hasSize(1);
    assertThat(folder.resolve("run/export")).doesNotExist();
    assertThat(metrics().getLast().get("reason_code").asText()).isEqualTo("INCONSISTENT");
  }

  @Test
  void shouldNotSaveOrCloseWhatNeverOpened() throws IOException {
    worker.refuse(OpenRequest.class, ErrorCode.MODEL_NOT_LOADABLE, "no such model");

    RunException e = failure(spec(), BRIGHTNESS);

    assertThat(e).hasMessage("while opening the model: no such model");
    assertThat(folder.resolve("run/export")).doesNotExist();
    assertThat(worker.all(CloseRequest.class)).isEmpty();
    assertThat(metrics()).hasSize(2);
  }

  @Test
  void shouldRefusePromptsForAnUnconditionalModel() {
    worker.conditional = false;

    assertThat(failure(spec(), BRIGHTNESS))
        .hasMessage("the model is unconditional: remove prompts");
    assertThat(worker.isOpen()).isFalse();
  }

  @Test
  void shouldSaveWhatItHasWhenToldToStop() throws Exception {
    worker.stickInSampling();
    RunSpec spec = spec();
    CompletableFuture<RunException> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> ended.complete(failure(spec, BRIGHTNESS)));
    worker.stuck.await();

    thread.interrupt();

    assertThat(ended.get().cancelled()).isTrue();
    assertThat(ended.get()).hasMessageStartingWith("told to stop while sampling in iteration 1");
    worker.cancelled.await();
    assertThat(metrics().stream().map(line -> line.get("event").asText()))
        .containsExactly("started", "evaluated", "state_changed");
    assertThat(folder.resolve("run/export/pytorch_lora_weights.safetensors"))
        .content()
        .startsWith("improved 0,");
    assertThat(worker.isOpen()).isFalse();
  }

  @Test
  void shouldStopWhileARewardHoldsItUp() throws Exception {
    RunSpec spec = spec();
    CompletableFuture<Void> asked = new CompletableFuture<>();
    CompletableFuture<Double> never = new CompletableFuture<>();
    Reward slow =
        Reward.of(
            "slow",
            (image, prompt) -> {
              asked.complete(null);
              return never.join();
            });
    CompletableFuture<RunException> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> ended.complete(failure(spec, slow)));
    asked.get();

    thread.interrupt();

    assertThat(ended.get().cancelled()).isTrue();
    never.complete(0.0);
  }

  @Test
  void shouldNotTouchAFolderInUse() throws IOException {
    Files.createDirectories(folder.resolve("run/samples"));

    assertThatThrownBy(() -> run(spec(), BRIGHTNESS))
        .isInstanceOfSatisfying(
            RunException.class, e -> assertThat(e.code()).isEqualTo("FOLDER_EXISTS"))
        .hasMessageContaining("give a run a folder of its own");
    assertThat(worker.requests).isEmpty();
  }
}
