package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import dev.vard.proto.v1.CancelRunRequest;
import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.DeleteRunRequest;
import dev.vard.proto.v1.DownloadArtifactRequest;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.ListArtifactsRequest;
import dev.vard.proto.v1.ListRunsRequest;
import dev.vard.proto.v1.ListSamplesRequest;
import dev.vard.proto.v1.ResumeRunRequest;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.run.RunStatus;
import dev.vard.serve.Caller;
import dev.vard.serve.Runs.Creation;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Random and mutated requests to a live server: whatever they are, they are the caller's fault. As
 * many as the system property {@code vard.fuzz.requests} says.
 */
class GrpcFuzzTest {
  private static final int REQUESTS = Integer.getInteger("vard.fuzz.requests", 10_000);
  private static final long SEED = Long.getLong("vard.fuzz.seed", 7);
  private static final int AT_ONCE = 50;

  private static final InMemoryRuns RUNS = new InMemoryRuns();
  private static LiveApi api;
  private static GrpcRoad road;

  /** A method, and a request that is right. */
  private record Target(MethodDescriptor<?, ?> method, Message right) {}

  private static final List<Target> TARGETS =
      List.of(
          new Target(
              RunServiceGrpc.getCreateRunMethod(),
              CreateRunRequest.newBuilder()
                  .setSpecification("name: fox")
                  .addOverrides("seed=3")
                  .setPriority(1)
                  .setRequestId("2f1e8f0e-7a52-4a4b-9d55-9a1d7a0d4f10")
                  .build()),
          new Target(
              RunServiceGrpc.getGetRunMethod(),
              GetRunRequest.newBuilder().setName("runs/run-1").build()),
          new Target(
              RunServiceGrpc.getListRunsMethod(),
              ListRunsRequest.newBuilder()
                  .setPageSize(3)
                  .setPageToken("1")
                  .setFilter("state = WAITING")
                  .build()),
          new Target(
              RunServiceGrpc.getWatchRunMethod(),
              WatchRunRequest.newBuilder().setName("runs/run-1").setAfterSequence(1).build()),
          new Target(
              RunServiceGrpc.getCancelRunMethod(),
              CancelRunRequest.newBuilder().setName("runs/run-1").build()),
          new Target(
              RunServiceGrpc.getResumeRunMethod(),
              ResumeRunRequest.newBuilder().setName("runs/run-6").build()),
          new Target(
              RunServiceGrpc.getDeleteRunMethod(),
              DeleteRunRequest.newBuilder().setName("runs/run-6").build()),
          new Target(
              RunServiceGrpc.getListSamplesMethod(),
              ListSamplesRequest.newBuilder()
                  .setParent("runs/run-1")
                  .setPageSize(3)
                  .setPageToken("1")
                  .setIteration(0)
                  .build()),
          new Target(
              RunServiceGrpc.getListArtifactsMethod(),
              ListArtifactsRequest.newBuilder()
                  .setParent("runs/run-1")
                  .setPageSize(3)
                  .setPageToken("1")
                  .build()),
          new Target(
              RunServiceGrpc.getDownloadArtifactMethod(),
              DownloadArtifactRequest.newBuilder()
                  .setName("runs/run-1/artifacts/samples/0000/0000.png")
                  .build()));

  private static final List<String> WICKED_TEXTS =
      List.of(
          "",
          "\0",
          "a\0b",
          "..",
          "runs/..",
          "runs/../../etc/passwd",
          "runs/run-1/artifacts/../../../etc/passwd",
          "runs/run-1/artifacts//etc/passwd",
          "runs/run-1/artifacts/\0",
          "runs/run-1/artifacts/samples/../samples/0000/0000.png",
          "runs/" + "a".repeat(61),
          "runs/%2e%2e",
          "runs/run-1\n",
          "\u202Eruns/run-1",
          "\uFFFF",
          "💥".repeat(1000),
          "x".repeat(100_000),
          "' OR 1=1 --",
          "state = RUNNING AND ",
          "((((((((((((((((((((",
          "-1",
          "9".repeat(40),
          "{{}}: [*a, &a]\n- !!java",
          "*".repeat(5000));

  private static final long[] WICKED_NUMBERS = {
    0, 1, -1, 1000, 1001, Integer.MIN_VALUE, Integer.MAX_VALUE, Long.MIN_VALUE, Long.MAX_VALUE
  };

  @BeforeAll
  static void start() {
    Caller local = new Caller("local", true, "");
    for (int i = 0; i < 6; i++) {
      String run = RUNS.create(local, new Creation("name: fox", List.of(), 0, "")).run().id();
      RUNS.file(run, "samples/0000/0000.png", new byte[1000]);
    }
    // Its watchers come to an end.
    RUNS.move("run-1", RunStatus.CANCELLED);
    api = LiveApi.start(RUNS, Map.of());
    road = GrpcRoad.to(api.grpcPort());
  }

  @AfterAll
  static void end() {
    road.close();
    api.close();
  }

  @Test
  void shouldBlameTheCallerForEveryRequest() throws Exception {
    Random random = new Random(SEED);
    Map<Status.Code, Integer> answers = new EnumMap<>(Status.Code.class);
    for (int sent = 0; sent < REQUESTS; sent += AT_ONCE) {
      List<CompletableFuture<Status>> calls = new ArrayList<>();
      for (int i = 0; i < AT_ONCE; i++) {
        Target target = TARGETS.get(random.nextInt(TARGETS.size()));
        calls.add(call(target.method(), request(target, random)));
      }
      for (CompletableFuture<Status> call : calls) {
        if (answer(call).getCode() == Status.Code.UNAVAILABLE)
          System.err.println("DEBUG " + answer(call));
        answers.merge(answer(call).getCode(), 1, Integer::sum);
      }
    }

    assertThat(answers.values().stream().mapToInt(i -> i).sum()).isEqualTo(REQUESTS);
    assertThat(answers)
        .as("answers to %d requests with seed %d", REQUESTS, SEED)
        .doesNotContainKeys(
            Status.Code.UNKNOWN,
            Status.Code.INTERNAL,
            Status.Code.UNAVAILABLE,
            Status.Code.DEADLINE_EXCEEDED)
        .containsKeys(Status.Code.OK, Status.Code.INVALID_ARGUMENT, Status.Code.NOT_FOUND);
    LiveApi.eventually(() -> api.streams().open() == 0 && RUNS.watchers() == 0);
  }

  @Test
  void shouldBlameTheCallerForTooFewAndTooManyRequests() throws Exception {
    byte[] right = TARGETS.get(1).right().toByteArray();
    for (Target target : TARGETS) {
      assertThat(answer(call(target.method(), List.of())).getCode())
          .isEqualTo(Status.Code.INVALID_ARGUMENT);
      // gRPC's own answer: it resets the stream before our code sees the second request.
      assertThat(answer(call(target.method(), List.of(right, right, right))).getCode())
          .isEqualTo(Status.Code.CANCELLED);
    }
  }

  /** Bytes at random, a right request with some bits wrong, or one with wicked values. */
  private static List<byte[]> request(Target target, Random random) {
    byte[] bytes;
    switch (random.nextInt(4)) {
      case 0 -> {
        bytes = new byte[random.nextInt(200)];
        random.nextBytes(bytes);
      }
      case 1 -> {
        bytes = target.right().toByteArray();
        for (int i = random.nextInt(3); i >= 0 && bytes.length > 0; i--) {
          bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
        }
      }
      default -> bytes = mutated(target.right(), random).toByteArray();
    }
    return List.of(bytes);
  }

  private static Message mutated(Message right, Random random) {
    Message.Builder message = right.toBuilder();
    for (FieldDescriptor field : right.getDescriptorForType().getFields()) {
      if (random.nextBoolean()) {
        continue;
      }
      if (field.isRepeated()) {
        Object item = wicked(field, random);
        for (int i = random.nextInt(100); i >= 0; i--) {
          message.addRepeatedField(field, item);
        }
      } else {
        message.setField(field, wicked(field, random));
      }
    }
    return message.build();
  }

  private static Object wicked(FieldDescriptor field, Random random) {
    long number = WICKED_NUMBERS[random.nextInt(WICKED_NUMBERS.length)];
    return switch (field.getJavaType()) {
      case STRING -> WICKED_TEXTS.get(random.nextInt(WICKED_TEXTS.size()));
      case INT -> (int) number;
      case LONG -> number;
      case FLOAT, DOUBLE, BOOLEAN, BYTE_STRING, ENUM, MESSAGE ->
          throw new AssertionError("no request has a field like " + field);
    };
  }

  private static CompletableFuture<Status> call(
      MethodDescriptor<?, ?> method, List<byte[]> requests) {
    MethodDescriptor<byte[], byte[]> raw =
        MethodDescriptor.<byte[], byte[]>newBuilder()
            .setType(
                requests.size() == 1
                    ? method.getType()
                    : MethodDescriptor.MethodType.BIDI_STREAMING)
            .setFullMethodName(method.getFullMethodName())
            .setRequestMarshaller(new Bytes())
            .setResponseMarshaller(new Bytes())
            .build();
    ManagedChannel channel = road.channel();
    boolean watches = method == RunServiceGrpc.getWatchRunMethod();
    ClientCall<byte[], byte[]> call =
        channel.newCall(
            raw, CallOptions.DEFAULT.withDeadlineAfter(watches ? 3 : 30, TimeUnit.SECONDS));
    CompletableFuture<Status> status = new CompletableFuture<>();
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onClose(Status closed, Metadata trailers) {
            // A mutated name may be that of a run that goes on, and so does a watch of it.
            boolean goesOn = watches && closed.getCode() == Status.Code.DEADLINE_EXCEEDED;
            status.complete(goesOn ? Status.OK : closed);
          }
        },
        new Metadata());
    call.request(Integer.MAX_VALUE);
    requests.forEach(call::sendMessage);
    call.halfClose();
    return status;
  }

  private static Status answer(CompletableFuture<Status> call)
      throws InterruptedException, ExecutionException {
    return call.get();
  }

  /** Messages as they are on the wire. */
  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
