package dev.vard.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerLocationTest {
  @Test
  void shouldReadTheThreeKinds() {
    int processors = Runtime.getRuntime().availableProcessors();

    assertThat(WorkerLocation.parse("local")).isEqualTo(new WorkerLocation.Local(processors));
    assertThat(WorkerLocation.parse("embedded")).isEqualTo(new WorkerLocation.Embedded(processors));
    assertThat(WorkerLocation.parse("gpu-1.lab:50051"))
        .isEqualTo(new WorkerLocation.Remote("gpu-1.lab", 50051));
    assertThat(WorkerLocation.parse("[::1]:50051"))
        .isEqualTo(new WorkerLocation.Remote("[::1]", 50051));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "Local",
        "lab",
        "lab:",
        ":50051",
        "lab:0",
        "lab:65536",
        "lab:x",
        "a:b:1",
        "http://lab:1"
      })
  void shouldRefuseEverythingElse(String text) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WorkerLocation.parse(text))
        .withMessageMatching(".{10,}");
  }
}
