package dev.vard.cli.client;

import com.google.protobuf.ByteString;
import dev.vard.proto.v1.DownloadArtifactRequest;
import dev.vard.proto.v1.DownloadArtifactResponse;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * A file that came from a server as the server had it.
 *
 * @param bytes its size
 * @param sha256 in hex
 */
record Download(long bytes, String sha256) {

  /**
   * Writes an artifact to a file. If this fails, half a file may be left.
   *
   * @param artifact {@code runs/{run}/artifacts/{path}}
   * @throws ClientException if what came is not what the server says it sent
   */
  static Download of(RunServer server, String artifact, Path file)
      throws StatusException, IOException, InterruptedException {
    MessageDigest digest = newDigest();
    long announced = 0;
    long arrived = 0;
    String checksum = "";
    BlockingClientCall<?, DownloadArtifactResponse> call =
        server.stream()
            .downloadArtifact(DownloadArtifactRequest.newBuilder().setName(artifact).build());
    try (OutputStream out = Files.newOutputStream(file)) {
      for (DownloadArtifactResponse part = call.read(); part != null; part = call.read()) {
        switch (part.getPartCase()) {
          case ARTIFACT -> announced = part.getArtifact().getSizeBytes();
          case CHUNK -> {
            ByteString chunk = part.getChunk();
            chunk.writeTo(out);
            digest.update(chunk.asReadOnlyByteBuffer());
            arrived += chunk.size();
          }
          case CHECKSUM -> checksum = part.getChecksum().getSha256();
          case PART_NOT_SET -> {}
        }
      }
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      call.cancel("nobody reads any more", e);
      throw e;
    }
    String own = HexFormat.of().formatHex(digest.digest());
    if (arrived != announced || !own.equalsIgnoreCase(checksum)) {
      throw new ClientException(
          "%s arrived damaged: %d bytes with SHA-256 %s, where the server has %d with %s. Nothing is kept; try again"
              .formatted(
                  artifact, arrived, own, announced, checksum.isEmpty() ? "none" : checksum));
    }
    return new Download(arrived, own);
  }

  private static MessageDigest newDigest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
