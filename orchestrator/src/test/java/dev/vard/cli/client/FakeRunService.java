package dev.vard.cli.client;

import com.google.protobuf.Any;
import com.google.protobuf.Empty;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import dev.vard.proto.v1.Artifact;
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
import dev.vard.proto.v1.ResumeRunRequest;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunServiceGrpc;
import dev.vard.proto.v1.StateChanged;
import dev.vard.proto.v1.WatchRunRequest;
import dev.vard.testing.CuttableProxy;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerCredentials;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The other side of the contract, on loopback: keeps the promises of run.proto for runs that a test
 * puts there, and breaks connections and files when told to. One lock guards all.
 */
final class FakeRunService extends RunServiceGrpc.RunServiceImplBase implements AutoCloseable {
  static final int PAGE = 2;
  private static final Context.Key<String> AUTHORIZATION = Context.key("authorization");

  private final ServerCredentials credentials;
  private final CuttableProxy proxy;
  private final List<Message> requests = new ArrayList<>();
  private final List<String> authorizations = new ArrayList<>();
  private final Map<String, Run> runs = new LinkedHashMap<>();
  private final Map<String, List<RunEvent>> events = new HashMap<>();
  private final Map<String, String> made = new HashMap<>();
  private final FakeArtifacts files = new FakeArtifacts();
  private final Map<Class<?>, StatusRuntimeException> refusals = new HashMap<>();
  private final List<Watcher> watchers = new ArrayList<>();
  private int eventsOfAStream = Integer.MAX_VALUE;
  private int answersToLose;
  private Server server;

  private record Watcher(String run, StreamObserver<RunEvent> events) {}

  /** Some of all, from the place that a token names. */
  private record Page<T>(List<T> items, String next) {
    static <T> Page<T> of(List<T> all, String token) {
      int from = token.isEmpty() ? 0 : Integer.parseInt(token);
      int to = Math.min(from + PAGE, all.size());
      return new Page<>(all.subList(from, to), to < all.size() ? String.valueOf(to) : "");
    }
  }

  FakeRunService() throws IOException {
    this(InsecureServerCredentials.create());
  }

  FakeRunService(ServerCredentials credentials) throws IOException {
    this.credentials = credentials;
    this.server = listen();
    this.proxy = new CuttableProxy(server.getPort());
  }

  private Server listen() throws IOException {
    return Grpc.newServerBuilderForPort(0, credentials)
        .addService(this)
        .intercept(new SeenAuthorization())
        .build()
        .start();
  }

  String address() {
    return "127.0.0.1:" + proxy.port();
  }

  synchronized void put(Run run) {
    runs.put(run.getName(), run);
  }

  /** Something happens in a run. */
  synchronized void tell(String run, RunEvent.Builder event) {
    List<RunEvent> told = events.computeIfAbsent(run, name -> new ArrayList<>());
    RunEvent numbered = event.setSequence(told.size() + 1).setTime(time(told.size())).build();
    told.add(numbered);
    Run.Builder changed = runs.get(run).toBuilder().setLastSequence(told.size());
    if (numbered.hasStateChanged()) {
      changed.setState(numbered.getStateChanged().getTo());
    }
    runs.put(run, changed.build());
    for (Watcher watcher : watchers) {
      if (watcher.run().equals(run)) {
        watcher.events().onNext(numbered);
        if (States.ended(changed.getState())) {
          watcher.events().onCompleted();
        }
      }
    }
  }

  void tell(String run, Run.State to) {
    tell(run, RunEvent.newBuilder().setStateChanged(StateChanged.newBuilder().setTo(to)));
  }

  /** Streams of events break off after so many, from now on. */
  synchronized void breakStreamsAfter(int events) {
    eventsOfAStream = events;
  }

  /** The next so many runs are made, but whoever asked does not hear of it. */
  synchronized void loseAnswers(int answers) {
    answersToLose = answers;
  }

  synchronized void refuse(Class<? extends Message> request, StatusRuntimeException refusal) {
    refusals.put(request, refusal);
  }

  synchronized void file(String run, String path, String content) {
    files.put(run + "/artifacts/" + path, content);
  }

  /** A bit of this file turns over on the way. */
  synchronized void damage(String run, String path) {
    files.damage(run + "/artifacts/" + path);
  }

  /** Ends, with all its connections. What happens in its runs meanwhile, nobody hears. */
  void stop() throws InterruptedException {
    proxy.cut();
    server.shutdownNow().awaitTermination();
    synchronized (this) {
      watchers.clear();
    }
  }

  /** Is back, at the same address. */
  void startAgain() throws IOException {
    server = listen();
    proxy.mend(server.getPort());
  }

  /** Waits until somebody watches. */
  synchronized void awaitWatcher() throws InterruptedException {
    while (watchers.isEmpty()) {
      wait();
    }
  }

  synchronized <T extends Message> List<T> requests(Class<T> type) {
    return requests.stream().filter(type::isInstance).map(type::cast).toList();
  }

  /** What each call came with. */
  synchronized List<String> authorizations() {
    return List.copyOf(authorizations);
  }

  synchronized List<Run> runs() {
    return List.copyOf(runs.values());
  }

  /** As vard's server refuses. */
  static StatusRuntimeException refusal(Code code, String field, String message) {
    Status.Builder status =
        Status.newBuilder()
            .setCode(code.getNumber())
            .setMessage(message)
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder().setReason(code.name()).setDomain("vard.dev").build()));
    if (!field.isEmpty()) {
      status.addDetails(
          Any.pack(
              BadRequest.newBuilder()
                  .addFieldViolations(
                      BadRequest.FieldViolation.newBuilder()
                          .setField(field)
                          .setDescription(message))
                  .build()));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  static Timestamp time(int second) {
    return Timestamp.newBuilder().setSeconds(1_700_000_000L + second).build();
  }

  @Override
  public void close() {
    server.shutdownNow();
    proxy.close();
  }

  @Override
  public synchronized void createRun(CreateRunRequest request, StreamObserver<Run> answer) {
    answer(
        request,
        answer,
        () -> {
          String name =
              made.computeIfAbsent(request.getRequestId(), id -> "runs/run-" + (runs.size() + 1));
          Run run =
              runs.computeIfAbsent(
                  name,
                  key ->
                      Run.newBuilder()
                          .setName(key)
                          .setState(Run.State.WAITING)
                          .setPriority(request.getPriority())
                          .setSpecification(request.getSpecification())
                          .setCreateTime(time(0))
                          .build());
          if (answersToLose > 0) {
            answersToLose--;
            throw io.grpc.Status.UNAVAILABLE.withDescription("gone").asRuntimeException();
          }
          return run;
        });
  }

  @Override
  public synchronized void getRun(GetRunRequest request, StreamObserver<Run> answer) {
    answer(request, answer, () -> find(request.getName()));
  }

  @Override
  public synchronized void listRuns(
      ListRunsRequest request, StreamObserver<ListRunsResponse> answer) {
    answer(
        request,
        answer,
        () -> {
          Page<Run> page = Page.of(List.copyOf(runs.values()), request.getPageToken());
          return ListRunsResponse.newBuilder()
              .addAllRuns(page.items())
              .setNextPageToken(page.next())
              .build();
        });
  }

  @Override
  public synchronized void cancelRun(CancelRunRequest request, StreamObserver<Run> answer) {
    answer(
        request,
        answer,
        () -> {
          Run run = find(request.getName());
          if (run.getState() != Run.State.RUNNING) {
            tell(run.getName(), Run.State.CANCELLED);
          }
          return find(request.getName());
        });
  }

  @Override
  public synchronized void resumeRun(ResumeRunRequest request, StreamObserver<Run> answer) {
    answer(
        request,
        answer,
        () -> {
          tell(request.getName(), Run.State.WAITING);
          return find(request.getName());
        });
  }

  @Override
  public synchronized void deleteRun(DeleteRunRequest request, StreamObserver<Empty> answer) {
    answer(
        request,
        answer,
        () -> {
          runs.remove(find(request.getName()).getName());
          return Empty.getDefaultInstance();
        });
  }

  @Override
  public synchronized void listArtifacts(
      ListArtifactsRequest request, StreamObserver<ListArtifactsResponse> answer) {
    answer(
        request,
        answer,
        () -> {
          Page<Artifact> page = Page.of(files.of(request.getParent()), request.getPageToken());
          return ListArtifactsResponse.newBuilder()
              .addAllArtifacts(page.items())
              .setNextPageToken(page.next())
              .build();
        });
  }

  @Override
  public synchronized void watchRun(WatchRunRequest request, StreamObserver<RunEvent> answer) {
    requests.add(request);
    Run run;
    try {
      run = find(request.getName());
    } catch (StatusRuntimeException e) {
      answer.onError(e);
      return;
    }
    List<RunEvent> all = events.getOrDefault(run.getName(), List.of());
    List<RunEvent> left =
        all.subList((int) Math.min(request.getAfterSequence(), all.size()), all.size());
    left.stream().limit(eventsOfAStream).forEach(answer::onNext);
    if (left.size() > eventsOfAStream) {
      answer.onError(io.grpc.Status.UNAVAILABLE.withDescription("dropped").asRuntimeException());
    } else if (States.ended(run.getState())) {
      answer.onCompleted();
    } else {
      watchers.add(new Watcher(run.getName(), answer));
      notifyAll();
    }
  }

  @Override
  public synchronized void downloadArtifact(
      DownloadArtifactRequest request, StreamObserver<DownloadArtifactResponse> answer) {
    requests.add(request);
    String name = request.getName();
    if (!files.has(name)) {
      answer.onError(refusal(Code.NOT_FOUND, "name", "there is no file " + name));
      return;
    }
    files.send(name, answer);
  }

  private Run find(String name) {
    return Optional.ofNullable(runs.get(name))
        .orElseThrow(() -> refusal(Code.NOT_FOUND, "name", "there is no run " + name));
  }

  private interface Answer<T> {
    T get();
  }

  private <T> void answer(Message request, StreamObserver<T> observer, Answer<T> answer) {
    requests.add(request);
    authorizations.add(SeenAuthorization.ofThisCall());
    try {
      if (refusals.containsKey(request.getClass())) {
        throw refusals.get(request.getClass());
      }
      observer.onNext(answer.get());
      observer.onCompleted();
    } catch (StatusRuntimeException e) {
      observer.onError(e);
    }
  }
}
