package dev.vard.api;

import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import com.google.protobuf.UnsafeByteOperations;
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
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.serve.Caller;
import dev.vard.serve.RequestException;
import dev.vard.serve.Runs;
import dev.vard.serve.Runs.ArtifactView;
import dev.vard.serve.Runs.Creation;
import dev.vard.serve.Runs.Page;
import dev.vard.serve.Runs.RunView;
import dev.vard.serve.Runs.SampleView;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;

/** {@code RunService}: translates. Refusals are thrown, for {@link GrpcGuard}. */
final class GrpcRuns extends RunServiceGrpc.RunServiceImplBase {
  private final Runs runs;
  private final Streams streams;
  private final EventProto events = new EventProto();

  GrpcRuns(Runs runs, Streams streams) {
    this.runs = runs;
    this.streams = streams;
  }

  @Override
  public void createRun(CreateRunRequest request, StreamObserver<Run> answer) {
    RunView run =
        runs.create(
            GrpcAuthentication.caller(),
            new Creation(
                request.getSpecification(),
                request.getOverridesList(),
                request.getPriority(),
                request.getRequestId()));
    answer(answer, Protos.run(run));
  }

  @Override
  public void getRun(GetRunRequest request, StreamObserver<Run> answer) {
    String id = ResourceNames.runId("name", request.getName());
    answer(answer, Protos.run(runs.get(GrpcAuthentication.caller(), id)));
  }

  @Override
  public void listRuns(ListRunsRequest request, StreamObserver<ListRunsResponse> answer) {
    Page<RunView> page =
        runs.list(
            GrpcAuthentication.caller(),
            ResourceNames.page(request.getPageSize(), request.getPageToken()),
            ResourceNames.checkedText("filter", request.getFilter()));
    ListRunsResponse.Builder response =
        ListRunsResponse.newBuilder().setNextPageToken(page.nextToken());
    page.items().stream().map(Protos::run).forEach(response::addRuns);
    answer(answer, response.build());
  }

  @Override
  public void cancelRun(CancelRunRequest request, StreamObserver<Run> answer) {
    String id = ResourceNames.runId("name", request.getName());
    answer(answer, Protos.run(runs.cancel(GrpcAuthentication.caller(), id)));
  }

  @Override
  public void resumeRun(ResumeRunRequest request, StreamObserver<Run> answer) {
    String id = ResourceNames.runId("name", request.getName());
    answer(answer, Protos.run(runs.resume(GrpcAuthentication.caller(), id)));
  }

  @Override
  public void deleteRun(DeleteRunRequest request, StreamObserver<Empty> answer) {
    runs.delete(GrpcAuthentication.caller(), ResourceNames.runId("name", request.getName()));
    answer(answer, Empty.getDefaultInstance());
  }

  @Override
  public void listSamples(ListSamplesRequest request, StreamObserver<ListSamplesResponse> answer) {
    String id = ResourceNames.runId("parent", request.getParent());
    OptionalInt iteration =
        request.hasIteration()
            ? OptionalInt.of((int) ResourceNames.notNegative("iteration", request.getIteration()))
            : OptionalInt.empty();
    Page<SampleView> page =
        runs.samples(
            GrpcAuthentication.caller(),
            id,
            iteration,
            ResourceNames.page(request.getPageSize(), request.getPageToken()));
    ListSamplesResponse.Builder response =
        ListSamplesResponse.newBuilder().setNextPageToken(page.nextToken());
    page.items().forEach(sample -> response.addSamples(Protos.sample(id, sample)));
    answer(answer, response.build());
  }

  @Override
  public void listArtifacts(
      ListArtifactsRequest request, StreamObserver<ListArtifactsResponse> answer) {
    String id = ResourceNames.runId("parent", request.getParent());
    Page<ArtifactView> page =
        runs.artifacts(
            GrpcAuthentication.caller(),
            id,
            ResourceNames.page(request.getPageSize(), request.getPageToken()));
    ListArtifactsResponse.Builder response =
        ListArtifactsResponse.newBuilder().setNextPageToken(page.nextToken());
    page.items().forEach(artifact -> response.addArtifacts(Protos.artifact(id, artifact)));
    answer(answer, response.build());
  }

  @Override
  public void watchRun(WatchRunRequest request, StreamObserver<RunEvent> answer) {
    Caller caller = GrpcAuthentication.caller();
    String id = ResourceNames.runId("name", request.getName());
    long after = ResourceNames.notNegative("after_sequence", request.getAfterSequence());
    stream(
        answer,
        () -> new EventSource<>(runs.watch(caller, id, after), events::of, Optional.empty()));
  }

  @Override
  public void downloadArtifact(
      DownloadArtifactRequest request, StreamObserver<DownloadArtifactResponse> answer) {
    Caller caller = GrpcAuthentication.caller();
    ResourceNames.ArtifactName name = ResourceNames.artifactName("name", request.getName());
    stream(
        answer,
        () -> new Download(name.run(), new Chunks(runs.open(caller, name.run(), name.path()))));
  }

  /**
   * Sends on a thread of its own, for gRPC's own thread has to tell of room and of readers that
   * leave. The place is given back when the call is over for the transport too: what was sent and
   * not read still takes memory until then.
   */
  private <T> void stream(StreamObserver<T> answer, Supplier<StreamTask.Source<T>> source) {
    ServerCallStreamObserver<T> call = (ServerCallStreamObserver<T>) answer;
    Streams.Place place = streams.enter(GrpcAuthentication.admission());
    try {
      StreamTask<T> task = new StreamTask<>(source.get(), new CallOutlet<>(call));
      call.setOnReadyHandler(task::roomChanged);
      call.setOnCancelHandler(
          () -> {
            place.close();
            task.gone();
          });
      call.setOnCloseHandler(place::close);
      streams.start(task, place);
    } catch (RuntimeException e) {
      place.close();
      throw e;
    }
  }

  private static <T> void answer(StreamObserver<T> observer, T message) {
    observer.onNext(message);
    observer.onCompleted();
  }

  /** A call as a stream's end. */
  private record CallOutlet<T>(ServerCallStreamObserver<T> call) implements StreamTask.Outlet<T> {
    @Override
    public boolean ready() {
      return call.isReady();
    }

    @Override
    public void send(T message) {
      call.onNext(message);
    }

    @Override
    public void end() {
      call.onCompleted();
    }

    @Override
    public void fail(RequestException why) {
      call.onError(GrpcErrors.of(why));
    }

    @Override
    public void fail() {
      call.onError(GrpcErrors.defect());
    }
  }

  /** The file's description, its bytes, their checksum. */
  private static final class Download implements StreamTask.Source<DownloadArtifactResponse> {
    private final String run;
    private final Chunks chunks;
    private boolean described;
    private boolean ended;

    Download(String run, Chunks chunks) {
      this.run = run;
      this.chunks = chunks;
    }

    @Override
    public Optional<DownloadArtifactResponse> next() throws IOException {
      if (ended) {
        return Optional.empty();
      }
      DownloadArtifactResponse.Builder part = DownloadArtifactResponse.newBuilder();
      if (!described) {
        described = true;
        part.setArtifact(Protos.artifact(run, chunks.artifact()));
        return Optional.of(part.build());
      }
      Optional<ByteString> chunk = chunks.next().map(UnsafeByteOperations::unsafeWrap);
      if (chunk.isPresent()) {
        part.setChunk(chunk.get());
      } else {
        ended = true;
        part.setChecksum(ArtifactChecksum.newBuilder().setSha256(chunks.sha256()));
      }
      return Optional.of(part.build());
    }

    @Override
    public boolean ended() {
      return ended;
    }

    @Override
    public void close() {
      chunks.close();
    }
  }
}
