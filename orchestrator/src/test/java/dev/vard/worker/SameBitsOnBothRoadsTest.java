package dev.vard.worker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImprovePolicyResponse;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SameBitsOnBothRoadsTest {
  /** What a short training leaves behind. */
  private record Bits(
      String images,
      List<Double> valueLosses,
      List<Double> policyLosses,
      List<Double> probed,
      String export,
      String imagesAfter) {}

  @Test
  void shouldGiveTheSameBitsByGrpcAndByJep(@TempDir Path folder) {
    Bits byGrpc = train(new WorkerLocation.Local(2), folder.resolve("grpc"));
    Bits byJep = train(new WorkerLocation.Embedded(2), folder.resolve("jep"));

    assertThat(byJep).isEqualTo(byGrpc);
    assertThat(byGrpc.probed()).as("the budget was exceeded, and held").hasSizeGreaterThan(1);
    assertThat(byGrpc.imagesAfter()).as("training changed something").isNotEqualTo(byGrpc.images());
  }

  private static Bits train(WorkerLocation location, Path folder) {
    try (WorkerClient client = WorkerClients.open(location);
        TestSession session = TestSession.open(client)) {
      String images = TestSession.digest(session.sample(session.sampling(1, 4)));
      FitValueResponse fitted = session.fit(session.fitting(2, 4));
      ImprovePolicyResponse improved =
          session.improve(
              session
                  .improving(3, 4)
                  .setLearningRate(0.1)
                  .setFinalLearningRate(0.05)
                  .setKlBudget(session.held(1e-3, 2)));
      String export = session.export(folder).getSha256();
      String after = TestSession.digest(session.sample(session.looking(4)));
      return new Bits(
          images,
          fitted.getLossesList(),
          improved.getStepsList().stream().map(step -> step.getLoss()).toList(),
          improved.getProbedKlList(),
          export,
          after);
    }
  }
}
