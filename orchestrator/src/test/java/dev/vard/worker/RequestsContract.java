package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static dev.vard.worker.TestSession.digest;
import static dev.vard.worker.TestSession.openRequest;
import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.TrajectorySpec;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What is refused, and leaves the session as it was: requests out of order, of strangers, or wrong.
 */
abstract class RequestsContract extends WorkerBehaviour {
  RequestsContract(WorkerClient client) {
    super(client);
  }

  @Test
  void shouldRefuseToPlanWhatCouldNotBeOpened() {
    assertInvalid("sample_batch", () -> client.plan(PlanRequest.getDefaultInstance(), PATIENCE));
  }

  @Test
  void shouldAnswerARepeatedChangeWithoutMakingItTwice(@TempDir Path folder) {
    try (var session = TestSession.open(client)) {
      String images = digest(session.sample(session.sampling(1, 4)));
      assertThat(digest(session.sample(session.sampling(1, 4)))).isEqualTo(images);
      FitValueResponse fitted = session.fit(session.fitting(2, 4));
      assertThat(session.fit(session.fitting(2, 4))).isEqualTo(fitted);
      ImprovePolicyResponse improved = session.improve(session.improving(3, 4));
      String once = session.export(folder.resolve("once")).getSha256();

      assertThat(session.improve(session.improving(3, 4))).isEqualTo(improved);

      assertThat(session.export(folder.resolve("again")).getSha256()).isEqualTo(once);
      assertThat(session.describe().getOperation()).isEqualTo(3);
    }
  }

  @Test
  void shouldRefuseOperationsOutOfOrder() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      assertRefused(ErrorCode.OUT_OF_ORDER, "operation", () -> session.fit(session.fitting(3, 2)));
      assertRefused(ErrorCode.OUT_OF_ORDER, "operation", () -> session.fit(session.fitting(0, 2)));
      // The last number, but another request.
      assertRefused(ErrorCode.OUT_OF_ORDER, "operation", () -> session.fit(session.fitting(1, 2)));

      assertUsable(session, 1);
    }
  }

  @Test
  void shouldRefuseAnUnknownSession() {
    var nobody = TestSession.of(client, "nobody");

    assertRefused(ErrorCode.UNKNOWN_SESSION, "session_id", () -> nobody.sample(nobody.looking(1)));
    assertRefused(ErrorCode.UNKNOWN_SESSION, "session_id", () -> nobody.fit(nobody.fitting(1, 1)));
    assertRefused(ErrorCode.UNKNOWN_SESSION, "session_id", nobody::close);
  }

  @Test
  void shouldRefuseASessionThatExists() {
    try (var session = TestSession.open(client)) {
      OpenRequest again =
          openRequest(TinyModel.folder()).toBuilder().setSessionId(session.id).build();

      assertRefused(ErrorCode.SESSION_EXISTS, "session_id", () -> client.open(again, PATIENCE));

      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseUnknownAndTakenTrajectories() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.fit(session.fitting(2, 3)));
      assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.evaluate(session.evaluating(3)));
      assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.improve(session.improving(2, 3)));
      assertRefused(
          ErrorCode.UNKNOWN_TRAJECTORY,
          () -> client.release(session.releasing(2, 3).build(), PATIENCE));
      assertRefused(
          ErrorCode.TRAJECTORY_EXISTS,
          "trajectories.id",
          () -> session.sample(session.sampling(2, 1)));

      assertUsable(session, 1);
    }
  }

  @Test
  void shouldRefuseRequestsThatDoNotHoldTogether() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));

      assertInvalid("trajectories", () -> session.sample(session.looking(0)));
      assertInvalid("batch", () -> session.sample(session.looking(1).setBatch(0)));
      assertInvalid(
          "trajectories.id",
          () ->
              session.sample(
                  session.looking(1).addTrajectories(TrajectorySpec.newBuilder().setId("t0"))));
      assertInvalid("targets.trajectory_id", () -> session.fit(session.fitting(2, 0)));
      assertInvalid("trajectory_ids", () -> session.improve(session.improving(2, 0)));
      assertInvalid("named", () -> session.improve(session.improving(2, 2).clearNamed()));
      assertInvalid(
          "named.series[advantage]",
          () -> session.improve(session.improving(2, 2).setNamed(TestSession.ratios(1))));
      assertInvalid("steps", () -> session.fit(session.fitting(2, 2).setSteps(0)));
      assertInvalid("learning_rate", () -> session.fit(session.fitting(2, 2).setLearningRate(-1)));

      assertUsable(session, 1);
    }
  }

  @Test
  void shouldRefuseNumbersThatAreNotFinite() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 2));
      var nan = session.fitting(2, 2);
      nan.getTargetsBuilder(1).setValue(Double.NaN);
      var infinite = session.evaluating(2);
      infinite.getTargetsBuilder(0).setValue(Double.POSITIVE_INFINITY);

      assertInvalid("targets[1].value", () -> session.fit(nan));
      assertInvalid("targets[0].value", () -> session.evaluate(infinite));
      assertInvalid(
          "kl_weight", () -> session.improve(session.improving(2, 2).setKlWeight(Double.NaN)));

      assertUsable(session, 1);
    }
  }
}
