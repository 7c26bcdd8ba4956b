package dev.vard.run;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.WorkerError;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** What a {@link FakeWorker} refuses because a test wants it to. */
final class FakeRefusals {
  private final Map<Class<?>, WorkerError> refusals = new ConcurrentHashMap<>();
  private final Map<Class<?>, AtomicInteger> patience = new ConcurrentHashMap<>();

  void refuse(Class<?> request, ErrorCode code, String message) {
    refusals.put(request, FakeSession.error(code, message));
  }

  void refuseFrom(Class<?> request, int answered, ErrorCode code, String message) {
    refuse(request, code, message);
    patience.put(request, new AtomicInteger(answered));
  }

  void relent(Class<?> request) {
    refusals.remove(request);
  }

  /** The error to answer this request with, if it is one of those. */
  Optional<WorkerError> of(Object request) {
    AtomicInteger answers = patience.get(request.getClass());
    if (answers != null && answers.getAndDecrement() > 0) {
      return Optional.empty();
    }
    return Optional.ofNullable(refusals.get(request.getClass()));
  }
}
