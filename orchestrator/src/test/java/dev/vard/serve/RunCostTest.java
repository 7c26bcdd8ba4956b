package dev.vard.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.Creation;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SpecReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunCostTest {
  @TempDir private Path folder;

  private RunCost cost(String... overrides) throws Exception {
    Files.createDirectories(folder.resolve("tiny"));
    RunSpec spec =
        new SpecReader(folder, 1)
            .read(TestServer.SPEC, "specification", Path.of(""), List.of(overrides));
    return RunCost.of(spec);
  }

  @Test
  void shouldCountImagesAndPasses() throws Exception {
    // Three iterations of 4 images; evaluations of 5 before, after the 2nd and after the 3rd; 20
    // denoising steps. Two iterations train the policy (2 steps of 32), all fit the value (40 of
    // 128).
    assertThat(cost()).isEqualTo(new RunCost(27, 27 * 20 + 2 * 2 * 32 + 3 * 40 * 128));
  }

  @Test
  void shouldCountNoMoreThanTheBudgetPaysFor() throws Exception {
    assertThat(cost("budget.queries=23").queries()).isEqualTo(2 * 4 + 2 * 5);
  }

  @Test
  void shouldCountTheLargestRunThatCanBeWritten() throws Exception {
    RunCost cost =
        cost(
            "algorithm.iterations=100000",
            "algorithm.samples=65536",
            "sampler.steps=1000",
            "algorithm.policy.steps=4096",
            "algorithm.policy.batch=4096");

    assertThat(cost.queries()).isGreaterThan(6_000_000_000L);
    assertThat(cost.passes()).isGreaterThan(8_000_000_000_000L);
  }

  @Test
  void shouldRefuseWhatCostsTooMuchAndSayBothNumbers() {
    try (TestServer server =
        new TestServer(
            folder,
            TestServer.h2(folder),
            "one",
            List.of("127.0.0.1:1"),
            Map.of("vard.serve.max-queries", 27, "vard.serve.max-passes", 16_028))) {
      assertThat(server.create(TestServer.ANN).status()).isNotNull();

      RequestException queries = refused(server, "algorithm.samples=5");
      assertThat(queries.code()).isEqualTo(Code.INVALID_ARGUMENT);
      assertThat(queries).hasMessageContaining("30 reward queries").hasMessageContaining("of 27:");
      assertThat(refused(server, "sampler.steps=21"))
          .hasMessageContaining("16055 passes")
          .hasMessageContaining("of 16028:");
    }
  }

  private static RequestException refused(TestServer server, String override) {
    return catchThrowableOfType(
        RequestException.class,
        () ->
            server.runs.create(
                TestServer.ANN, new Creation(TestServer.SPEC, List.of(override), 0, "")));
  }
}
