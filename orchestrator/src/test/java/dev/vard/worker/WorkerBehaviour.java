package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static dev.vard.worker.TestSession.openRequest;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.RestoreRequest;
import java.nio.file.Path;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** One behaviour of a worker: what its tests begin with. */
abstract class WorkerBehaviour {
  final WorkerClient client;

  WorkerBehaviour(WorkerClient client) {
    this.client = client;
  }

  final TestSession restore(Path checkpoint) {
    OpenRequest names = openRequest(TinyModel.folder());
    client.restore(
        RestoreRequest.newBuilder()
            .setSessionId(names.getSessionId())
            .setPath(checkpoint.toString())
            .build(),
        PATIENCE);
    return TestSession.of(client, names.getSessionId());
  }

  static void assertUsable(TestSession session, long operation) {
    assertThat(session.describe().getOperation()).isEqualTo(operation);
    assertThat(session.sample(session.looking(1))).hasSize(1);
  }

  static void assertInvalid(String field, ThrowingCallable request) {
    assertRefused(ErrorCode.INVALID_ARGUMENT, field, request);
  }

  static void assertRefused(ErrorCode code, String field, ThrowingCallable request) {
    assertThat(assertRefused(code, request).field()).isEqualTo(field);
  }

  static WorkerException assertRefused(ErrorCode code, ThrowingCallable request) {
    WorkerException failure = failureOf(request);
    assertThat(failure.code()).as(failure.getMessage()).isEqualTo(code);
    assertThat(failure.kind()).isEqualTo(WorkerException.Kind.REFUSED);
    assertThat(failure).hasMessageMatching("(?s).{10,}");
    return failure;
  }

  static WorkerException failureOf(ThrowingCallable request) {
    WorkerException failure = catchThrowableOfType(WorkerException.class, request);
    assertThat(failure).as("the request's failure").isNotNull();
    return failure;
  }
}
