package dev.vard.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.vard.proto.v1.DType;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleResponse;
import dev.vard.proto.v1.SampleSummary;
import dev.vard.proto.v1.TrajectorySpec;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class SampleReaderTest {
  private final List<ImageChunk> arrived = new ArrayList<>();
  private final SampleReader reader =
      new SampleReader(
          SampleRequest.newBuilder()
              .setSessionId("s")
              .addTrajectories(TrajectorySpec.newBuilder().setId("a"))
              .addTrajectories(TrajectorySpec.newBuilder().setId("b"))
              .addTrajectories(TrajectorySpec.newBuilder().setId("c"))
              .build(),
          arrived::add);

  @Test
  void shouldLetWholeImagesThrough() {
    accept(chunk(0, 2));
    accept(chunk(2, 1));
    accept(summary(3));

    assertThat(arrived).containsExactly(chunk(0, 2).build(), chunk(2, 1).build());
    assertThat(reader.summary().getImages()).isEqualTo(3);
  }

  @Test
  void shouldRefuseADamagedChunk() {
    assertBroken("checksum", () -> accept(chunk(0, 1).setCrc32(1)));
    assertBroken("bytes", () -> accept(chunk(0, 1).setData(ByteString.copyFrom(new byte[5]))));
    assertBroken("not uint8", () -> accept(chunk(0, 1).setDtype(DType.FLOAT32)));
    assertBroken("not uint8", () -> accept(chunk(0, 1).clearShape()));
    assertBroken("KLs", () -> accept(chunk(0, 1).addKl(0)));
    assertThat(arrived).isEmpty();
  }

  @Test
  void shouldRefuseGapsAndRepeats() {
    accept(chunk(0, 1));

    assertBroken("in place of", () -> accept(chunk(2, 1)));
    assertBroken("in place of", () -> accept(chunk(0, 1)));
  }

  @Test
  void shouldRefuseAnIncompleteAnswer() {
    accept(chunk(0, 2));

    assertBroken("summary is missing", reader::summary);
    assertBroken("counts other images", () -> accept(summary(3)));
    accept(summary(2));
    assertBroken("2 of 3 images arrived", reader::summary);
    assertBroken("follows the summary", () -> accept(chunk(2, 1)));
  }

  /** Images of 1x2 pixels. */
  private static ImageChunk.Builder chunk(int first, int images) {
    byte[] pixels = new byte[images * 6];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (first + i);
    }
    var crc = new CRC32();
    crc.update(pixels);
    return ImageChunk.newBuilder()
        .setFirst(first)
        .addAllShape(List.of(images, 1, 2, 3))
        .setDtype(DType.UINT8)
        .setData(ByteString.copyFrom(pixels))
        .setCrc32((int) crc.getValue());
  }

  private static SampleSummary.Builder summary(int images) {
    return SampleSummary.newBuilder().setImages(images);
  }

  private void accept(ImageChunk.Builder chunk) {
    reader.accept(SampleResponse.newBuilder().setImages(chunk).build());
  }

  private void accept(SampleSummary.Builder summary) {
    reader.accept(SampleResponse.newBuilder().setSummary(summary).build());
  }

  private static void assertBroken(String why, ThrowingCallable reading) {
    assertThatThrownBy(reading)
        .isInstanceOfSatisfying(
            WorkerException.class,
            e -> assertThat(e.kind()).isEqualTo(WorkerException.Kind.BROKEN_ANSWER))
        .hasMessageContaining(why);
  }
}
