package dev.vard.cli.client;

import com.google.protobuf.ByteString;
import dev.vard.proto.v1.Artifact;
import dev.vard.proto.v1.ArtifactChecksum;
import dev.vard.proto.v1.DownloadArtifactResponse;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The files of {@link FakeRunService}'s runs, by their names; the service's lock guards them. */
final class FakeArtifacts {
  private static final int CHUNK = 5;

  private final Map<String, byte[]> files = new TreeMap<>();
  private Optional<String> damaged = Optional.empty();

  void put(String name, String content) {
    files.put(name, content.getBytes(StandardCharsets.UTF_8));
  }

  /** A bit of this file turns over on the way. */
  void damage(String name) {
    damaged = Optional.of(name);
  }

  List<Artifact> of(String run) {
    return files.keySet().stream()
        .filter(name -> name.startsWith(run + "/"))
        .map(this::artifact)
        .toList();
  }

  boolean has(String name) {
    return files.containsKey(name);
  }

  /** The file in chunks, between what it is and its checksum. */
  void send(String name, StreamObserver<DownloadArtifactResponse> answer) {
    byte[] content = files.get(name);
    answer.onNext(DownloadArtifactResponse.newBuilder().setArtifact(artifact(name)).build());
    for (int from = 0; from < content.length; from += CHUNK) {
      byte[] chunk = new byte[Math.min(CHUNK, content.length - from)];
      System.arraycopy(content, from, chunk, 0, chunk.length);
      if (damaged.equals(Optional.of(name)) && from == 0) {
        chunk[0] ^= 1;
      }
      answer.onNext(
          DownloadArtifactResponse.newBuilder().setChunk(ByteString.copyFrom(chunk)).build());
    }
    answer.onNext(
        DownloadArtifactResponse.newBuilder()
            .setChecksum(ArtifactChecksum.newBuilder().setSha256(sha256(content)))
            .build());
    answer.onCompleted();
  }

  private Artifact artifact(String name) {
    return Artifact.newBuilder().setName(name).setSizeBytes(files.get(name).length).build();
  }

  static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
