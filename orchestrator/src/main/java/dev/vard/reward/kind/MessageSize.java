package dev.vard.reward.kind;

import dev.vard.proto.v1.ScoreRequest;
import dev.vard.reward.RewardQuery;
import io.grpc.Status;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;

/** How many queries make one call: a server takes messages up to a size, which it does not tell. */
final class MessageSize {
  /** Servers refuse messages above 4 MiB unless told otherwise. */
  private static final int MOST_BYTES = 3_500_000;

  /** Of a query, besides its pixels and its prompt. */
  private static final int OVERHEAD_BYTES = 64;

  /** What gRPC's implementations say: in C++ and what is built on it, in Go, and in Java. */
  private static final Pattern EXCEEDED =
      Pattern.compile("message (?:larger than max|exceeds maximum size)", Pattern.CASE_INSENSITIVE);

  private volatile int most = MOST_BYTES;

  /** How many of the first queries go into one call: at least one, and all of one iteration. */
  int fitting(List<RewardQuery> queries) {
    RewardQuery first = queries.getFirst();
    long bytes = 0;
    int count = 0;
    for (RewardQuery query : queries) {
      bytes +=
          query.image().size()
              + query.prompt().getBytes(StandardCharsets.UTF_8).length
              + OVERHEAD_BYTES;
      boolean together =
          query.runId().equals(first.runId()) && query.iteration() == first.iteration();
      if (count > 0 && (bytes > most || !together)) {
        break;
      }
      count++;
    }
    return count;
  }

  /** Whether a call failed by its size: the same again would fail alike, unlike a want of room. */
  static boolean exceeded(Status status) {
    return status.getCode() == Status.Code.RESOURCE_EXHAUSTED
        && status.getDescription() != null
        && EXCEEDED.matcher(status.getDescription()).find();
  }

  /** Makes calls smaller than one that was too large. */
  void lower(ScoreRequest refused) {
    most = Math.min(most, refused.getSerializedSize() / 2);
  }
}
