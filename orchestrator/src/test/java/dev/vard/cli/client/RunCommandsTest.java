package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.rpc.Code;
import dev.vard.cli.ExitCode;
import dev.vard.proto.v1.CancelRunRequest;
import dev.vard.proto.v1.DeleteRunRequest;
import dev.vard.proto.v1.ListRunsRequest;
import dev.vard.proto.v1.ResumeRunRequest;
import dev.vard.proto.v1.Run;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The commands that look at runs or move them. */
@Timeout(60)
class RunCommandsTest {
  private static final Run WAITING =
      Run.newBuilder()
          .setName("runs/cats-k3")
          .setDisplayName("cats")
          .setOwner("ada")
          .setState(Run.State.WAITING)
          .setPriority(10)
          .setQueuePosition(2)
          .setIterations(16)
          .setCreateTime(FakeRunService.time(0))
          .build();
  private static final Run PAUSED =
      Run.newBuilder()
          .setName("runs/emoji-x7")
          .setDisplayName("emoji")
          .setOwner("bo")
          .setState(Run.State.PAUSED)
          .setReasonCode("REWARD_FAILED")
          .setReason("the reward answered 503")
          .setRetryTime(FakeRunService.time(60))
          .setIteration(4)
          .setIterations(16)
          .setRewardQueries(128)
          .setRewardBefore(-1.355)
          .setRewardNow(-1.2)
          .setKlPerTrajectory(12.34)
          .setGeneration(1)
          .setLastSequence(9)
          .setCreateTime(FakeRunService.time(0))
          .setStartTime(FakeRunService.time(1))
          .build();

  private FakeRunService service;
  private Vard vard;

  @BeforeEach
  void start() throws IOException {
    service = new FakeRunService();
    vard = new Vard(service.address());
  }

  @AfterEach
  void end() {
    service.close();
  }

  private JsonNode json() throws IOException {
    return new ObjectMapper().readTree(vard.out());
  }

  @Test
  void shouldListRunsInColumns() {
    service.put(WAITING);
    service.put(PAUSED);

    assertThat(vard.run("list")).isEqualTo(ExitCode.OK);

    assertThat(vard.out().replaceAll("2023-11-1\\d \\d\\d:\\d\\d:20", "*"))
        .isEqualTo(
            """
            RUN       STATE    PRIORITY  QUEUE     OWNER  ITERATION  REWARD            CREATED  REASON
            cats-k3   waiting  10        2 before  ada    0/16                         *
            emoji-x7  paused   0                   bo     4/16       -1.355 -> -1.200  *  REWARD_FAILED: the reward answered 503
            """
                .replace("CREATED ", "CREATED" + " ".repeat(13)));
    assertThat(vard.err()).isEmpty();
  }

  @Test
  void shouldTellThatThereAreMoreRuns() {
    for (int i = 0; i <= FakeRunService.PAGE; i++) {
      service.put(WAITING.toBuilder().setName("runs/cats-" + i).build());
    }

    assertThat(vard.run("list")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).hasSize(1 + FakeRunService.PAGE);
    assertThat(vard.err()).contains("there are more: --all lists every one");
  }

  @Test
  void shouldListAllPages() throws IOException {
    for (int i = 0; i < 2 * FakeRunService.PAGE + 1; i++) {
      service.put(WAITING.toBuilder().setName("runs/cats-" + i).build());
    }

    assertThat(vard.run("list", "--all", "--json", "--filter", "priority > 3"))
        .isEqualTo(ExitCode.OK);

    assertThat(json().get("runs")).hasSize(2 * FakeRunService.PAGE + 1);
    assertThat(service.requests(ListRunsRequest.class))
        .hasSize(3)
        .allMatch(request -> request.getFilter().equals("priority > 3"));
  }

  @Test
  void shouldTellThatThereAreNoRuns() {
    assertThat(vard.run("list")).isEqualTo(ExitCode.OK);

    assertThat(vard.out()).isEmpty();
    assertThat(vard.err().lines()).containsExactly("no runs");
  }

  @Test
  void shouldTellWhichFieldIsWrong() {
    service.refuse(
        ListRunsRequest.class,
        FakeRunService.refusal(
            Code.INVALID_ARGUMENT, "filter", "at 1: 'colour' is no field; give state, owner"));

    assertThat(vard.run("list", "--filter", "colour = red")).isEqualTo(ExitCode.FAILED);

    assertThat(vard.err().lines())
        .containsExactly("vard: filter: at 1: 'colour' is no field; give state, owner");
  }

  @Test
  void shouldShowARun() {
    service.put(PAUSED);

    assertThat(vard.run("show", "emoji-x7")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines())
        .contains(
            "  run                runs/emoji-x7",
            "  state              paused",
            "  reason             REWARD_FAILED: the reward answered 503",
            "  reward             -1.355 -> -1.200",
            "  KL per trajectory  12.3 nats",
            "  taken up           once")
        .noneMatch(line -> line.contains("queue") || line.contains("ended"));
  }

  @Test
  void shouldShowARunAsJson() throws IOException {
    service.put(PAUSED);

    assertThat(vard.run("show", "runs/emoji-x7", "--json")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).hasSize(1);
    assertThat(json().get("state").asText()).isEqualTo("PAUSED");
    assertThat(json().get("reward_now").asDouble()).isEqualTo(-1.2);
  }

  @Test
  void shouldCancelARunThatWaits() {
    service.put(WAITING);

    assertThat(vard.run("cancel", "cats-k3")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).containsExactly("runs/cats-k3: cancelled");
    assertThat(service.requests(CancelRunRequest.class)).hasSize(1);
  }

  @Test
  void shouldTellThatARunningOneStopsSoon() {
    service.put(WAITING.toBuilder().setState(Run.State.RUNNING).build());

    assertThat(vard.run("cancel", "cats-k3")).isEqualTo(ExitCode.OK);

    assertThat(vard.out()).startsWith("runs/cats-k3: stops within seconds");
  }

  @Test
  void shouldResumeARun() {
    service.put(PAUSED);

    assertThat(vard.run("resume", "emoji-x7")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).containsExactly("runs/emoji-x7: waiting, next");
    assertThat(service.requests(ResumeRunRequest.class)).hasSize(1);
  }

  @Test
  void shouldDeleteARun() {
    service.put(PAUSED);

    assertThat(vard.run("delete", "emoji-x7", "--yes")).isEqualTo(ExitCode.OK);

    assertThat(vard.lines()).containsExactly("runs/emoji-x7: deleted");
    assertThat(service.runs()).isEmpty();
  }

  @Test
  void shouldNotDeleteUnasked() {
    service.put(PAUSED);

    assertThat(vard.run("delete", "emoji-x7")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(vard.err().lines())
        .containsExactly("vard: nobody is here to ask whether to delete runs/emoji-x7; give --yes");
    assertThat(service.requests(DeleteRunRequest.class)).isEmpty();
  }

  @Test
  void shouldRefuseWhatIsNoRun() {
    assertThat(vard.run("show", "runs/x/artifacts/y")).isEqualTo(ExitCode.BAD_USAGE);

    assertThat(vard.err()).contains("'runs/x/artifacts/y' is no run");
  }
}
