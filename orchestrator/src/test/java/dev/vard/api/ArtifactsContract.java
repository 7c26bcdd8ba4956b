package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A run's samples and files. */
abstract class ArtifactsContract extends ApiBehaviour {
  ArtifactsContract(ApiFixture fixture) {
    super(fixture);
  }

  @Test
  void shouldListSamples() {
    String run = make(alice);
    runs.file(run, "samples/0000/0000.png", new byte[1]);
    runs.file(run, "samples/0004/0001.png", new byte[1]);

    assertThat(alice.samples(run, OptionalInt.empty()).items())
        .extracting(Road.Sample::artifact)
        .containsExactly(
            "runs/" + run + "/artifacts/samples/0000/0000.png",
            "runs/" + run + "/artifacts/samples/0004/0001.png");
    assertThat(alice.samples(run, OptionalInt.of(4)).items())
        .containsExactly(
            new Road.Sample("runs/" + run + "/artifacts/samples/0004/0001.png", 4, 1, 8, -1.5));
    assertThat(alice.samples(run, OptionalInt.of(0)).items()).hasSize(1);
  }

  @Test
  void shouldListArtifacts() {
    String run = make(alice);
    runs.file(run, "a.png", new byte[7]);
    runs.file(run, "b.bin", new byte[9]);

    Road.Page<Road.Artifact> page = alice.artifacts(run, 1, "");

    assertThat(page.items())
        .containsExactly(new Road.Artifact("runs/" + run + "/artifacts/a.png", 7, "image/png"));
    assertThat(alice.artifacts(run, 1, page.next()).items())
        .extracting(Road.Artifact::name)
        .containsExactly("runs/" + run + "/artifacts/b.bin");
  }

  @Test
  void shouldDownloadAFile() {
    String run = make(alice);
    byte[] bytes = new byte[3_000_001];
    new Random(1).nextBytes(bytes);
    runs.file(run, "export/weights.safetensors", bytes);

    assertThat(alice.download("runs/" + run + "/artifacts/export/weights.safetensors"))
        .isEqualTo(bytes);
  }

  @Test
  void shouldDownloadAnEmptyFileWithAnyName() {
    String run = make(alice);
    runs.file(run, "a b/ü?%2e.txt", new byte[0]);

    assertThat(alice.download("runs/" + run + "/artifacts/a b/ü?%2e.txt")).isEmpty();
  }

  @Test
  void shouldDropAReaderThatReadsNothing() throws Exception {
    LiveApi.eventually(() -> api.streams().open() == 0);
    String run = make(alice);
    runs.file(run, "large", new byte[32 << 20]);

    try (AutoCloseable download = alice.downloadAndDoze("runs/" + run + "/artifacts/large")) {
      LiveApi.eventually(() -> api.streams().sending() == 1);
      LiveApi.eventually(() -> api.streams().sending() == 0);
    }

    LiveApi.eventually(() -> api.streams().open() == 0);
    runs.file(run, "large", "gone".getBytes(StandardCharsets.UTF_8));
  }
}
