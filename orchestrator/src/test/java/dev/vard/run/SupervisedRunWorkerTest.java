package dev.vard.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.RestoreRequest;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Workers that are lost, or refuse: when another is tried, and when a run gives up. */
class SupervisedRunWorkerTest extends SupervisedRunBehaviour {
  @Test
  void shouldGoOnWithAnotherWorkerWhenOneIsLost() {
    worker.refuse(FitValueRequest.class, ErrorCode.INTERNAL, "lost");
    onDiscard = () -> worker.relent(FitValueRequest.class);

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(discarded).hasValue(1);
    assertThat(all(RunEvent.Recovered.class))
        .singleElement()
        .satisfies(
            event -> {
              assertThat(event.reasonCode()).isEqualTo("INTERNAL");
              assertThat(event.reason()).isEqualTo("while fitting the value in iteration 1: lost");
            });
  }

  @Test
  void shouldGoOnFromTheLastCheckpoint() {
    worker.refuseFrom(ImprovePolicyRequest.class, 1, ErrorCode.OUT_OF_MEMORY, "no room");
    onDiscard = () -> worker.relent(ImprovePolicyRequest.class);

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.DONE);
    assertThat(all(RunEvent.Recovered.class))
        .singleElement()
        .satisfies(event -> assertThat(event.iteration()).isEqualTo(2));
    assertThat(worker.all(RestoreRequest.class)).hasSize(1);
    assertThat(worker.all(OpenRequest.class)).hasSize(1);
  }

  @Test
  void shouldPauseWhenMemoryRunsOutAgainAndAgain() {
    worker.refuse(ImprovePolicyRequest.class, ErrorCode.OUT_OF_MEMORY, "use smaller batches");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.code()).isEqualTo("OUT_OF_MEMORY");
    assertThat(end.reason()).contains("use smaller batches");
    assertThat(end.retryAt()).as("somebody has to look").isEmpty();
  }

  @Test
  void shouldTryAgainLaterWhenNoWorkerIsToBeHad() {
    worker.close();

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.code()).isEqualTo("WORKER_UNAVAILABLE");
    assertThat(end.retryAt().orElseThrow()).isAfter(NOW);
    assertThat(discarded).hasValue(4);
  }

  @Test
  void shouldFailWhenANewWorkerHasTheSameDefect() {
    worker.refuse(FitValueRequest.class, ErrorCode.INTERNAL, "TypeError: <object at 0x7f01>");
    onDiscard =
        () ->
            worker.refuse(
                FitValueRequest.class, ErrorCode.INTERNAL, "TypeError: <object at 0x7e02>");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.FAILED);
    assertThat(end.code()).isEqualTo("INTERNAL");
    assertThat(end.reason())
        .isEqualTo(
            "while fitting the value in iteration 1: TypeError: <object at 0x7e02>: 2"
                + " attempts came no further, so this is a defect that none will mend; report it"
                + " with the worker's log");
    assertThat(worker.all(FitValueRequest.class)).hasSize(2);
  }

  @Test
  void shouldFailWhenEachWorkerHasAnotherDefect() {
    AtomicInteger defects = new AtomicInteger();
    onDiscard =
        () ->
            worker.refuse(
                FitValueRequest.class, ErrorCode.INTERNAL, "defect " + defects.getAndIncrement());
    worker.refuse(FitValueRequest.class, ErrorCode.INTERNAL, "the first");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.FAILED);
    assertThat(worker.all(FitValueRequest.class)).hasSize(4);
  }

  @Test
  void shouldTakeASecondDefectFurtherOnForANewOne() {
    worker.refuseFrom(FitValueRequest.class, 1, ErrorCode.INTERNAL, "lost");
    onDiscard =
        () -> {
          worker.relent(FitValueRequest.class);
          if (discarded.get() == 1) {
            worker.refuse(ImprovePolicyRequest.class, ErrorCode.INTERNAL, "lost");
          } else {
            worker.relent(ImprovePolicyRequest.class);
          }
        };

    RunEnd end = run();

    assertThat(end.status()).as(end.reason()).isEqualTo(RunStatus.DONE);
    assertThat(discarded).hasValue(2);
  }

  @Test
  void shouldWaitForSomebodyWhenAWorkerDoesNotKeepItsPlaceAgainAndAgain() {
    worker.refuse(ImprovePolicyRequest.class, ErrorCode.OUT_OF_ORDER, "7 does not follow 5");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.PAUSED);
    assertThat(end.reason())
        .endsWith("7 does not follow 5: 4 attempts came no further; look into the worker's log");
    assertThat(end.retryAt()).as("time mends it not").isEmpty();
  }

  @Test
  void shouldFailAtOnceWhenTheModelCannotBeLoaded() {
    worker.refuse(OpenRequest.class, ErrorCode.MODEL_NOT_LOADABLE, "no such model");

    RunEnd end = run();

    assertThat(end.status()).isEqualTo(RunStatus.FAILED);
    assertThat(end.code()).isEqualTo("MODEL_NOT_LOADABLE");
    assertThat(worker.all(OpenRequest.class)).hasSize(1);
  }

  @Test
  void shouldEndTheSessionOfAnEarlierLife() {
    worker.refuse(FitValueRequest.class, ErrorCode.NOT_FINITE, "NaN");
    worker.refuse(dev.vard.proto.v1.CloseRequest.class, ErrorCode.INTERNAL, "not now");
    run();
    assertThat(worker.isOpen()).isTrue();
    worker.relent(FitValueRequest.class);
    worker.relent(dev.vard.proto.v1.CloseRequest.class);

    assertThat(run().status()).isEqualTo(RunStatus.DONE);
    assertThat(worker.isOpen()).isFalse();
  }
}
