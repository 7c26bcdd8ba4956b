package dev.vard.run;

import com.google.protobuf.ByteString;
import dev.vard.proto.v1.DType;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleResponse;
import dev.vard.proto.v1.TrajectorySpec;
import java.util.List;
import java.util.zip.CRC32;

/**
 * What a {@link FakeWorker} draws: an image is of one grey, that of its seed, lighter by ten for
 * each time that the policy was improved; but for its last row, which is noise, so that scores
 * differ.
 */
final class FakeImages {
  static final int SIDE = 4;
  static final double KL_PER_IMPROVEMENT = 7;

  private FakeImages() {}

  static SampleResponse chunk(SampleRequest request, int first, int images, int improvements) {
    ByteString.Output pixels = ByteString.newOutput();
    ImageChunk.Builder chunk = ImageChunk.newBuilder();
    for (TrajectorySpec trajectory : request.getTrajectoriesList().subList(first, first + images)) {
      for (int i = 0; i < SIDE * SIDE * 3; i++) {
        boolean lastRow = i >= (SIDE - 1) * SIDE * 3;
        pixels.write(
            lastRow
                ? (int) (trajectory.getSeed() >>> i) & 0xff
                : grey(trajectory.getSeed(), improvements));
      }
      if (request.getMeasureKl()) {
        chunk.addKl(KL_PER_IMPROVEMENT * improvements);
      }
    }
    CRC32 crc = new CRC32();
    crc.update(pixels.toByteString().asReadOnlyByteBuffer());
    chunk
        .setFirst(first)
        .addAllShape(List.of(images, SIDE, SIDE, 3))
        .setDtype(DType.UINT8)
        .setData(pixels.toByteString())
        .setCrc32((int) crc.getValue());
    return SampleResponse.newBuilder().setImages(chunk).build();
  }

  static int grey(long seed, int improvements) {
    return (int) (seed % 50) + 10 * improvements;
  }
}
