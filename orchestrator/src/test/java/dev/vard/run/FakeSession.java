package dev.vard.run;

import com.google.protobuf.Message;
import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.WorkerError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The book-keeping of a {@link FakeWorker}'s session: what it holds, which operation was the last,
 * and its history, and so the hash of its export. A check gives the error to refuse with.
 */
final class FakeSession {
  private final String id;
  private final Set<String> held = new LinkedHashSet<>();
  private boolean open = true;
  private long operation;
  private int improvements;
  private String history = "";
  private String last = "";

  FakeSession(String id) {
    this.id = id;
  }

  /** One that was never opened. */
  static FakeSession none() {
    FakeSession none = new FakeSession("");
    none.close();
    return none;
  }

  String id() {
    return id;
  }

  boolean open() {
    return open;
  }

  Set<String> held() {
    return held;
  }

  long operation() {
    return operation;
  }

  int improvements() {
    return improvements;
  }

  void improve() {
    improvements++;
  }

  void close() {
    open = false;
  }

  void save(Path folder) throws IOException {
    Files.createDirectories(folder.getParent());
    Files.createDirectory(folder);
    Files.write(
        folder.resolve("session"),
        List.of(
            Long.toString(operation),
            Integer.toString(improvements),
            history,
            last,
            String.join(",", held)));
  }

  /** Empty if the folder's file is damaged. */
  static Optional<FakeSession> restore(String id, Path folder) throws IOException {
    List<String> lines = Files.readAllLines(folder.resolve("session"));
    if (lines.size() != 5) {
      return Optional.empty();
    }
    FakeSession session = new FakeSession(id);
    session.operation = Long.parseLong(lines.get(0));
    session.improvements = Integer.parseInt(lines.get(1));
    session.history = lines.get(2);
    session.last = lines.get(3);
    if (!lines.get(4).isEmpty()) {
      session.held.addAll(List.of(lines.get(4).split(",")));
    }
    return Optional.of(session);
  }

  /** What its weights are, as far as anybody can tell them apart. */
  String weights() {
    return "improved " + improvements + ", after " + hash(history);
  }

  /** Counts a change; of a repeated one says so. */
  boolean changes(long number, Message request) {
    if (number == operation) {
      return false;
    }
    operation = number;
    last = digest(request);
    history = hash(history + last);
    return true;
  }

  Optional<WorkerError> stranger(String asked) {
    return refusal(!open || !asked.equals(id), ErrorCode.UNKNOWN_SESSION, "no session " + asked);
  }

  Optional<WorkerError> outOfOrder(long number, Message request) {
    boolean repeated = number == operation && digest(request).equals(last);
    return refusal(
        number != operation + 1 && !repeated,
        ErrorCode.OUT_OF_ORDER,
        number + " does not follow " + operation);
  }

  Optional<WorkerError> unknown(List<String> ids) {
    return refusal(
        !held.containsAll(ids),
        ErrorCode.UNKNOWN_TRAJECTORY,
        "not all of " + ids + " are in " + held);
  }

  private static Optional<WorkerError> refusal(boolean wrong, ErrorCode code, String message) {
    return wrong ? Optional.of(error(code, message)) : Optional.empty();
  }

  static WorkerError error(ErrorCode code, String message) {
    return WorkerError.newBuilder().setCode(code).setMessage(message).build();
  }

  /** Of all but the session's id, which differs from attempt to attempt. */
  private static String digest(Message request) {
    return hash(
        request.toBuilder()
            .clearField(request.getDescriptorForType().findFieldByName("session_id"))
            .build()
            .toString());
  }

  static String hash(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
