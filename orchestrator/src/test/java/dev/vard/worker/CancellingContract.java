package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.proto.v1.SampleRequest;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Requests that are given up leave the session as it was. */
abstract class CancellingContract extends WorkerBehaviour {
  CancellingContract(WorkerClient client) {
    super(client);
  }

  private static final int ENDLESS = 1_000_000;

  @Test
  void shouldCancelSamplingWhenInterrupted() {
    try (var session = TestSession.open(client)) {
      SampleRequest request = session.sampling(1, 64).setBatch(1).build();

      WorkerException failure =
          failureOf(
              () -> client.sample(request, chunk -> Thread.currentThread().interrupt(), PATIENCE));

      assertThat(Thread.interrupted()).as("interrupt status stays set").isTrue();
      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.CANCELLED);
      assertThat(session.describe().getTrajectoryIdsList()).isEmpty();
      assertUsable(session, 0);
    }
  }

  @Test
  void shouldCancelTrainingWhenInterrupted(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));
      session.fit(session.fitting(2, 2));
      String before = session.export(folder.resolve("before")).getSha256();
      Thread.currentThread().interrupt();

      WorkerException failure =
          failureOf(() -> session.improve(session.improving(3, 2).setSteps(ENDLESS)));

      assertThat(Thread.interrupted()).as("interrupt status stays set").isTrue();
      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.CANCELLED);
      assertThat(session.export(folder.resolve("after")).getSha256()).isEqualTo(before);
      assertUsable(session, 2);
    }
  }

  @Test
  void shouldUndoWhatTheDeadlineCutShort(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));
      session.fit(session.fitting(2, 2));
      String before = session.export(folder.resolve("before")).getSha256();

      WorkerException failure =
          failureOf(
              () ->
                  client.improvePolicy(
                      session.improving(3, 2).setSteps(ENDLESS).build(), Duration.ofSeconds(1)));

      assertThat(failure.kind()).isEqualTo(WorkerException.Kind.DEADLINE);
      assertThat(session.export(folder.resolve("after")).getSha256()).isEqualTo(before);
      // The number was not used up, and the same step from the same state is the same step.
      session.improve(session.improving(3, 2));
      assertUsable(session, 3);
    }
  }

  @Test
  void shouldCancelWhenTheReaderOfImagesFails() {
    try (var session = TestSession.open(client)) {
      var failure = new IllegalStateException("the reward's own failure");
      SampleRequest request = session.sampling(1, 64).setBatch(1).build();

      assertThatThrownBy(
              () ->
                  client.sample(
                      request,
                      chunk -> {
                        throw failure;
                      },
                      PATIENCE))
          .isSameAs(failure);

      assertThat(session.describe().getTrajectoryIdsList()).isEmpty();
      assertUsable(session, 0);
    }
  }
}
