package dev.vard.api;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import dev.vard.proto.v1.ArtifactChecksum;
import dev.vard.proto.v1.CancelRunRequest;
import dev.vard.proto.v1.CreateRunRequest;
import dev.vard.proto.v1.DeleteRunRequest;
import dev.vard.proto.v1.DownloadArtifactRequest;
import dev.vard.proto.v1.DownloadArtifactResponse;
import dev.vard.proto.v1.GetRunRequest;
import dev.vard.proto.v1.ListArtifactsRequest;
import dev.vard.proto.v1.ListArtifactsResponse;
import dev.vard.proto.v1.ListRunsRequest;
import dev.vard.proto.v1.ListRunsResponse;
import dev.vard.proto.v1.ListSamplesRequest;
import dev.vard.proto.v1.ListSamplesResponse;
import dev.vard.proto.v1.ResumeRunRequest;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.WatchRunRequest;
import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Supplier;
import org.assertj.core.api.Assertions;

/** By gRPC. */
final class GrpcRoad implements Road {
  private final ManagedChannel channel;
  private final RunServiceGrpc.RunServiceBlockingStub stub;
  private final Metadata headers;

  private GrpcRoad(ManagedChannel channel, String token) {
    this.channel = channel;
    this.headers = new Metadata();
    if (!token.isEmpty()) {
      headers.put(
          Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    }
    this.stub =
        RunServiceGrpc.newBlockingStub(channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  static GrpcRoad to(int port) {
    return to(port, InsecureChannelCredentials.create());
  }

  static GrpcRoad to(int port, ChannelCredentials credentials) {
    // A small window: a reader that dozes is noticed soon.
    return new GrpcRoad(
        NettyChannelBuilder.forAddress("127.0.0.1", port, credentials)
            .flowControlWindow(1 << 16)
            .build(),
        "");
  }

  ManagedChannel channel() {
    return channel;
  }

  @Override
  public Road as(String token) {
    return new GrpcRoad(channel, token);
  }

  @Override
  public Run create(String specification, List<String> overrides, int priority, String requestId) {
    return run(
        () ->
            stub.createRun(
                CreateRunRequest.newBuilder()
                    .setSpecification(specification)
                    .addAllOverrides(overrides)
                    .setPriority(priority)
                    .setRequestId(requestId)
                    .build()));
  }

  @Override
  public Run get(String id) {
    return run(() -> stub.getRun(GetRunRequest.newBuilder().setName("runs/" + id).build()));
  }

  @Override
  public Page<Run> list(int size, String token, String filter) {
    ListRunsResponse page =
        asked(
            () ->
                stub.listRuns(
                    ListRunsRequest.newBuilder()
                        .setPageSize(size)
                        .setPageToken(token)
                        .setFilter(filter)
                        .build()));
    return new Page<>(
        page.getRunsList().stream().map(GrpcRoad::run).toList(), page.getNextPageToken());
  }

  @Override
  public Run cancel(String id) {
    return run(() -> stub.cancelRun(CancelRunRequest.newBuilder().setName("runs/" + id).build()));
  }

  @Override
  public Run resume(String id) {
    return run(() -> stub.resumeRun(ResumeRunRequest.newBuilder().setName("runs/" + id).build()));
  }

  @Override
  public void delete(String id) {
    asked(() -> stub.deleteRun(DeleteRunRequest.newBuilder().setName("runs/" + id).build()));
  }

  @Override
  public Watch watch(String id, long after) {
    Context.CancellableContext context = Context.current().withCancellation();
    Iterator<RunEvent> events =
        call(
            context,
            () ->
                stub.watchRun(
                    WatchRunRequest.newBuilder()
                        .setName("runs/" + id)
                        .setAfterSequence(after)
                        .build()));
    return new Watch() {
      @Override
      public boolean hasNext() {
        return asked(events::hasNext);
      }

      @Override
      public Event next() {
        RunEvent event = events.next();
        String type =
            RunEvent.getDescriptor().findFieldByNumber(event.getEventCase().getNumber()).getName();
        return new Event(event.getSequence(), type);
      }

      @Override
      public void close() {
        context.cancel(null);
      }
    };
  }

  private static <T> T call(Context context, Supplier<T> call) {
    Context before = context.attach();
    try {
      return call.get();
    } finally {
      context.detach(before);
    }
  }

  @Override
  public Page<Sample> samples(String id, OptionalInt iteration) {
    ListSamplesRequest.Builder request = ListSamplesRequest.newBuilder().setParent("runs/" + id);
    iteration.ifPresent(request::setIteration);
    ListSamplesResponse page = asked(() -> stub.listSamples(request.build()));
    return new Page<>(
        page.getSamplesList().stream()
            .map(
                s ->
                    new Sample(
                        s.getArtifact(),
                        s.getIteration(),
                        s.getIndex(),
                        s.getSeed(),
                        s.getReward()))
            .toList(),
        page.getNextPageToken());
  }

  @Override
  public Page<Artifact> artifacts(String id, int size, String token) {
    ListArtifactsResponse page =
        asked(
            () ->
                stub.listArtifacts(
                    ListArtifactsRequest.newBuilder()
                        .setParent("runs/" + id)
                        .setPageSize(size)
                        .setPageToken(token)
                        .build()));
    return new Page<>(
        page.getArtifactsList().stream()
            .map(a -> new Artifact(a.getName(), a.getSizeBytes(), a.getContentType()))
            .toList(),
        page.getNextPageToken());
  }

  /** Checks the order of the parts, their size, and the checksum. */
  @Override
  public byte[] download(String name) {
    return asked(
        () -> {
          Iterator<DownloadArtifactResponse> parts =
              stub.downloadArtifact(DownloadArtifactRequest.newBuilder().setName(name).build());
          Assertions.assertThat(parts.next().getArtifact().getName()).isEqualTo(name);
          ByteArrayOutputStream bytes = new ByteArrayOutputStream();
          ArtifactChecksum checksum = null;
          while (parts.hasNext()) {
            DownloadArtifactResponse part = parts.next();
            Assertions.assertThat(part.getChunk().size()).isLessThanOrEqualTo(1 << 20);
            try {
              part.getChunk().writeTo(bytes);
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
            checksum = part.hasChecksum() ? part.getChecksum() : null;
          }
          Assertions.assertThat(checksum.getSha256()).isEqualTo(sha256(bytes.toByteArray()));
          return bytes.toByteArray();
        });
  }

  @Override
  public AutoCloseable downloadAndDoze(String name) {
    ClientCall<DownloadArtifactRequest, DownloadArtifactResponse> call =
        channel.newCall(RunServiceGrpc.getDownloadArtifactMethod(), CallOptions.DEFAULT);
    Metadata sent = new Metadata();
    sent.merge(headers);
    call.start(new ClientCall.Listener<>() {}, sent);
    call.request(1);
    call.sendMessage(DownloadArtifactRequest.newBuilder().setName(name).build());
    call.halfClose();
    return () -> call.cancel("enough", null);
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private Run run(Supplier<dev.vard.proto.v1.Run> call) {
    return run(asked(call));
  }

  private static Run run(dev.vard.proto.v1.Run run) {
    return new Run(
        run.getName(),
        run.getState().name(),
        run.getOwner(),
        run.getPriority(),
        run.getSpecification());
  }

  private static <T> T asked(Supplier<T> call) {
    try {
      return call.get();
    } catch (StatusRuntimeException e) {
      throw refused(e);
    }
  }

  static Refused refused(StatusRuntimeException e) {
    String field = "";
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    try {
      for (com.google.protobuf.Any detail : status.getDetailsList()) {
        if (detail.is(BadRequest.class)) {
          field = detail.unpack(BadRequest.class).getFieldViolations(0).getField();
        } else {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          Assertions.assertThat(info.getDomain()).isEqualTo("vard.dev");
          Assertions.assertThat(info.getReason()).isEqualTo(e.getStatus().getCode().name());
        }
      }
    } catch (InvalidProtocolBufferException broken) {
      throw new AssertionError(broken);
    }
    return new Refused(
        e.getStatus().getCode().name(), field, String.valueOf(e.getStatus().getDescription()));
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
