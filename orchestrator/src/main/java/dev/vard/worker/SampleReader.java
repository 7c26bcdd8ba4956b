package dev.vard.worker;

import dev.vard.proto.v1.DType;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleResponse;
import dev.vard.proto.v1.SampleSummary;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.zip.CRC32;

/**
 * Reads the answers to one sample request: lets only whole images through, each once and in order.
 */
final class SampleReader {
  private final SampleRequest request;
  private final Consumer<ImageChunk> images;
  private int arrived;
  private Optional<SampleSummary> summary = Optional.empty();

  SampleReader(SampleRequest request, Consumer<ImageChunk> images) {
    this.request = request;
    this.images = images;
  }

  void accept(SampleResponse part) {
    check(summary.isEmpty(), "something follows the summary");
    switch (part.getPartCase()) {
      case IMAGES -> {
        ImageChunk chunk = part.getImages();
        check(chunk);
        arrived += chunk.getShape(0);
        images.accept(FiniteAnswers.checked(chunk));
      }
      case SUMMARY -> {
        check(
            part.getSummary().getImages() == arrived,
            "the summary counts other images than arrived");
        summary = Optional.of(part.getSummary());
      }
      case PART_NOT_SET -> check(false, "a part is neither images nor the summary");
    }
  }

  SampleSummary summary() {
    check(summary.isPresent(), "the summary is missing");
    check(
        arrived == request.getTrajectoriesCount(),
        arrived + " of " + request.getTrajectoriesCount() + " images arrived");
    return summary.get();
  }

  private void check(ImageChunk chunk) {
    List<Integer> shape = chunk.getShapeList();
    check(
        shape.size() == 4
            && shape.get(0) > 0
            && shape.get(3) == 3
            && chunk.getDtype() == DType.UINT8,
        "a chunk is not uint8 [images, height, width, 3] but " + chunk.getDtype() + " " + shape);
    check(
        shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact)
            == chunk.getData().size(),
        "a chunk of shape " + shape + " has " + chunk.getData().size() + " bytes");
    check(
        chunk.getFirst() == arrived,
        "image " + chunk.getFirst() + " arrived in place of image " + arrived);
    var crc = new CRC32();
    crc.update(chunk.getData().asReadOnlyByteBuffer());
    check((int) crc.getValue() == chunk.getCrc32(), "the checksum of a chunk differs");
    check(
        chunk.getKlCount() == (request.getMeasureKl() ? shape.get(0) : 0),
        "a chunk of " + shape.get(0) + " images has " + chunk.getKlCount() + " KLs");
  }

  private void check(boolean holds, String otherwise) {
    if (!holds) {
      throw WorkerException.brokenAnswer(
          "Sample on session "
              + request.getSessionId()
              + ": "
              + otherwise
              + "; the worker or the connection to it is defective",
          null);
    }
  }
}
