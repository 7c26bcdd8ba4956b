package dev.vard.api;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.function.Function;

/** A server of both APIs, and callers of one. */
final class ApiFixture implements AutoCloseable {
  static final String ALICES = "alices-token-0123456789";
  static final int STREAMS = 4;
  static final int STREAMS_PER_OWNER = 3;
  private static final String BOBS = "bobs-token-0123456789";
  private static final String ROOTS = "roots-token-0123456789";

  final InMemoryRuns runs = new InMemoryRuns();
  final LiveApi api;
  final Road nobody;
  final Road alice;
  final Road bob;
  final Road root;

  ApiFixture(Path folder, Function<LiveApi, Road> open) throws Exception {
    Path tokens =
        Files.writeString(
            folder.resolve("tokens"),
            "alice %s\nbob %s\nroot %s admin\n".formatted(ALICES, BOBS, ROOTS));
    Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rw-------"));
    api =
        LiveApi.start(
            runs,
            Map.of(
                "tokens",
                tokens.toString(),
                "max-streams",
                STREAMS,
                "max-streams-per-owner",
                STREAMS_PER_OWNER,
                "slow-reader-seconds",
                1));
    nobody = open.apply(api);
    alice = nobody.as(ALICES);
    bob = nobody.as(BOBS);
    root = nobody.as(ROOTS);
  }

  @Override
  public void close() {
    nobody.close();
    api.close();
  }
}
