package dev.vard.api;

import dev.vard.serve.Caller;
import dev.vard.serve.Runs;
import dev.vard.serve.Runs.PageRequest;
import dev.vard.serve.Runs.RunView;
import dev.vard.serve.Runs.Watch;
import dev.vard.store.StoredEvent;
import io.micronaut.context.annotation.Requires;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.http.HttpHeaders;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.HttpStatus;
import io.micronaut.http.MediaType;
import io.micronaut.http.annotation.Body;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Delete;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Header;
import io.micronaut.http.annotation.PathVariable;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Produces;
import io.micronaut.http.annotation.QueryValue;
import io.micronaut.http.annotation.Status;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.parameters.RequestBody;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Runs over HTTP: translates. The Javadoc of its methods is the text of the OpenAPI document;
 * there, null is what a request left out.
 */
@Controller("/v1/runs")
@ExecuteOn(TaskExecutors.VIRTUAL)
@Requires(property = ApiProperties.ENABLED)
@Refusals.Common
final class RunsController {
  private static final String RUN_ID = "^" + ResourceNames.RUN_ID + "$";

  /** Without the colon of {@code :cancel}. */
  private static final String RUN = "/{run:[A-Za-z0-9._-]+}";

  private static final String MAX_PAGE = "" + ResourceNames.MAX_PAGE;
  private static final String MAX_INT = "" + Integer.MAX_VALUE;
  private static final String MAX_LONG = "" + Long.MAX_VALUE;
  private static final int DEFAULT_EVENTS = 50;
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
  private static final Duration PATIENCE = Duration.ofSeconds(1);

  private final Runs runs;
  private final Streams streams;

  RunsController(Runs runs, Streams streams) {
    this.runs = runs;
    this.streams = streams;
  }

  /**
   * Puts a run into the queue.
   *
   * @return The run, or the one that the same request made before.
   */
  @Operation(operationId = "CreateRun")
  @Post(consumes = MediaType.APPLICATION_JSON)
  @Status(HttpStatus.CREATED)
  @RequestBody(
      required = true,
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON,
              schema = @Schema(implementation = Rest.CreateRun.class)))
  @Refusals.Creation
  @Refusals.Limited
  HttpResponse<Rest.Run> create(HttpRequest<?> request, @Body byte[] body) {
    Rest.Run run = Rest.Run.of(runs.create(caller(request), Creations.read(body)));
    return HttpResponse.created(run).header(HttpHeaders.LOCATION, "/v1/" + run.name());
  }

  /**
   * Lists runs, the newest first.
   *
   * @param pageSize 0 for 50.
   * @param pageToken The last answer's {@code next_page_token}; empty for the first page.
   * @param filter Terms joined by AND, as {@code state = RUNNING AND display_name = "emoji*"}.
   *     Fields: state, owner, display_name, priority, create_time; operators: {@code =} {@code !=}
   *     {@code <} {@code <=} {@code >} {@code >=}; a {@code *} at an end of a text stands for
   *     anything.
   * @return A page of them.
   */
  @Operation(operationId = "ListRuns")
  @Get
  Rest.RunPage list(
      HttpRequest<?> request,
      @QueryValue(value = "page_size", defaultValue = "0")
          @Schema(minimum = "0", maximum = MAX_PAGE)
          int pageSize,
      @QueryValue("page_token")
          @Nullable
          @Schema(
              types = "string",
              maxLength = ResourceNames.MAX_TEXT,
              pattern = ResourceNames.TEXT,
              nullable = false)
          String pageToken,
      @QueryValue
          @Nullable
          @Schema(
              types = "string",
              maxLength = ResourceNames.MAX_TEXT,
              pattern = ResourceNames.TEXT,
              nullable = false)
          String filter) {
    return Rest.RunPage.of(
        runs.list(
            caller(request),
            page(pageSize, pageToken),
            ResourceNames.checkedText("filter", orEmpty(filter))));
  }

  /**
   * Gets a run.
   *
   * @return The run.
   */
  @Operation(operationId = "GetRun")
  @Get(RUN)
  @Refusals.NotFound
  Rest.Run get(HttpRequest<?> request, @PathVariable @Schema(pattern = RUN_ID) String run) {
    return Rest.Run.of(runs.get(caller(request), ResourceNames.checkedId(run)));
  }

  /**
   * Stops a run. A running one stops between two denoising or gradient steps, and can be resumed.
   *
   * @return The run.
   */
  @Operation(operationId = "CancelRun")
  @Post(value = RUN + ":cancel", consumes = MediaType.ALL)
  @Refusals.NotFound
  Rest.Run cancel(HttpRequest<?> request, @PathVariable @Schema(pattern = RUN_ID) String run) {
    return Rest.Run.of(runs.cancel(caller(request), ResourceNames.checkedId(run)));
  }

  /**
   * Puts a paused, cancelled or failed run back into the queue. It goes on where it was.
   *
   * @return The run.
   */
  @Operation(operationId = "ResumeRun")
  @Post(value = RUN + ":resume", consumes = MediaType.ALL)
  @Refusals.NotFound
  @Refusals.Limited
  Rest.Run resume(HttpRequest<?> request, @PathVariable @Schema(pattern = RUN_ID) String run) {
    return Rest.Run.of(runs.resume(caller(request), ResourceNames.checkedId(run)));
  }

  /** Forgets a run that does not run, and removes its files. */
  @Operation(operationId = "DeleteRun")
  @Delete(RUN)
  @Status(HttpStatus.NO_CONTENT)
  @ApiResponse(responseCode = "204", description = "It is gone.")
  @Refusals.NotFound
  void delete(HttpRequest<?> request, @PathVariable @Schema(pattern = RUN_ID) String run) {
    runs.delete(caller(request), ResourceNames.checkedId(run));
  }

  /**
   * Gives a run's events, from any one on. With {@code Accept: text/event-stream} as a stream of
   * server-sent events, those to come too: it ends after the last event of a run that is done,
   * failed or cancelled, and 204 is the answer to those who come back after that. Otherwise as a
   * page of those that are there.
   *
   * @param afterSequence Only events with a greater sequence number.
   * @param pageSize Of a page; 0 for 50.
   * @param lastEventId The last sequence number that the caller saw; counts more than {@code
   *     after_sequence}.
   */
  @Operation(operationId = "WatchRun")
  @Get(value = RUN + "/events", headRoute = false)
  @Produces({MediaType.APPLICATION_JSON, MediaType.TEXT_EVENT_STREAM})
  @ApiResponse(
      responseCode = "200",
      description = "The events.",
      content = {
        @Content(
            mediaType = MediaType.APPLICATION_JSON,
            schema = @Schema(implementation = Rest.EventPage.class)),
        @Content(
            mediaType = MediaType.TEXT_EVENT_STREAM,
            schema = @Schema(implementation = String.class))
      })
  @ApiResponse(responseCode = "204", description = "The run has ended, and no event is left.")
  @Refusals.NotFound
  @Refusals.Limited
  HttpResponse<?> events(
      HttpRequest<?> request,
      @PathVariable @Schema(pattern = RUN_ID) String run,
      @QueryValue(value = "after_sequence", defaultValue = "0")
          @Schema(minimum = "0", maximum = MAX_LONG)
          long afterSequence,
      @QueryValue(value = "page_size", defaultValue = "0")
          @Schema(minimum = "0", maximum = MAX_PAGE)
          int pageSize,
      @Header(value = "Last-Event-ID", defaultValue = "0")
          @Schema(minimum = "0", maximum = MAX_LONG)
          long lastEventId)
      throws InterruptedException {
    Caller caller = caller(request);
    String id = ResourceNames.checkedId(run);
    ResourceNames.notNegative("after_sequence", afterSequence);
    ResourceNames.notNegative("Last-Event-ID", lastEventId);
    long after = lastEventId > 0 ? lastEventId : afterSequence;
    int size = page(pageSize, null).size();
    RunView view = runs.get(caller, id);
    return request.accept().contains(MediaType.TEXT_EVENT_STREAM_TYPE)
        ? eventStream(AuthenticationFilter.admission(request), view, after)
        : HttpResponse.ok(eventPage(caller, view, after, size == 0 ? DEFAULT_EVENTS : size))
            .contentType(MediaType.APPLICATION_JSON_TYPE);
  }

  private HttpResponse<?> eventStream(Admission admission, RunView view, long after) {
    if (view.run().status().ended() && after >= view.run().lastSequence()) {
      // Browsers come back after every end of a stream, but not after this.
      return HttpResponse.noContent();
    }
    Streams.Place place = streams.enter(admission);
    try {
      StreamTask.Source<byte[]> source =
          new EventSource<>(
              runs.watch(admission.caller(), view.run().id(), after),
              EventJson::serverSent,
              Optional.of(
                  new EventSource.Fillers<>(EventJson.OPENING, KEEP_ALIVE, EventJson.KEEP_ALIVE)));
      return HttpResponse.ok(new StreamedBody(streams, place, source, true))
          .contentType(MediaType.TEXT_EVENT_STREAM_TYPE)
          .header(HttpHeaders.CACHE_CONTROL, "no-store");
    } catch (RuntimeException e) {
      place.close();
      throw e;
    }
  }

  /** Those that are there now: none is waited for. */
  private String eventPage(Caller caller, RunView view, long after, int size)
      throws InterruptedException {
    List<StoredEvent> events = new ArrayList<>();
    try (Watch watch = runs.watch(caller, view.run().id(), after)) {
      long last = after;
      while (last < view.run().lastSequence() && events.size() < size && !watch.ended()) {
        Optional<StoredEvent> event = watch.next(PATIENCE);
        if (event.isPresent()) {
          events.add(event.get());
          last = event.get().sequence();
        }
      }
    }
    return EventJson.page(events);
  }

  /**
   * Lists the images of the evaluations.
   *
   * @param iteration Only of the evaluation after this many iterations.
   * @param pageSize 0 for 50.
   * @param pageToken The last answer's {@code next_page_token}; empty for the first page.
   * @return A page of them.
   */
  @Operation(operationId = "ListSamples")
  @Get(RUN + "/samples")
  @Refusals.NotFound
  Rest.SamplePage samples(
      HttpRequest<?> request,
      @PathVariable @Schema(pattern = RUN_ID) String run,
      @QueryValue
          @Nullable
          @Schema(types = "integer", minimum = "0", maximum = MAX_INT, nullable = false)
          Integer iteration,
      @QueryValue(value = "page_size", defaultValue = "0")
          @Schema(minimum = "0", maximum = MAX_PAGE)
          int pageSize,
      @QueryValue("page_token")
          @Nullable
          @Schema(
              types = "string",
              maxLength = ResourceNames.MAX_TEXT,
              pattern = ResourceNames.TEXT,
              nullable = false)
          String pageToken) {
    String id = ResourceNames.checkedId(run);
    OptionalInt only =
        iteration == null
            ? OptionalInt.empty()
            : OptionalInt.of((int) ResourceNames.notNegative("iteration", iteration));
    return Rest.SamplePage.of(
        id, runs.samples(caller(request), id, only, page(pageSize, pageToken)));
  }

  /**
   * Lists the files that a run has made.
   *
   * @param pageSize 0 for 50.
   * @param pageToken The last answer's {@code next_page_token}; empty for the first page.
   * @return A page of them.
   */
  @Operation(operationId = "ListArtifacts")
  @Get(RUN + "/artifacts")
  @Refusals.NotFound
  Rest.ArtifactPage artifacts(
      HttpRequest<?> request,
      @PathVariable @Schema(pattern = RUN_ID) String run,
      @QueryValue(value = "page_size", defaultValue = "0")
          @Schema(minimum = "0", maximum = MAX_PAGE)
          int pageSize,
      @QueryValue("page_token")
          @Nullable
          @Schema(
              types = "string",
              maxLength = ResourceNames.MAX_TEXT,
              pattern = ResourceNames.TEXT,
              nullable = false)
          String pageToken) {
    String id = ResourceNames.checkedId(run);
    return Rest.ArtifactPage.of(id, runs.artifacts(caller(request), id, page(pageSize, pageToken)));
  }

  /**
   * Downloads a file. Of one that grows, as much as was there when the download began.
   *
   * @param path As {@code artifacts} lists it, slashes included.
   */
  @Operation(operationId = "DownloadArtifact")
  @Get(value = RUN + "/artifacts/{path:.+}", headRoute = false)
  @Produces(MediaType.ALL)
  @ApiResponse(
      responseCode = "200",
      description = "Its bytes.",
      content =
          @Content(mediaType = MediaType.ALL, schema = @Schema(type = "string", format = "binary")))
  @Refusals.NotFound
  @Refusals.Limited
  HttpResponse<?> download(
      HttpRequest<?> request,
      @PathVariable @Schema(pattern = RUN_ID) String run,
      @PathVariable
          @Schema(minLength = 1, maxLength = ResourceNames.MAX_TEXT, pattern = ResourceNames.TEXT)
          String path) {
    Caller caller = caller(request);
    String id = ResourceNames.checkedId(run);
    String checked = ResourceNames.checkedText("path", path);
    Streams.Place place = streams.enter(AuthenticationFilter.admission(request));
    try {
      Chunks chunks = new Chunks(runs.open(caller, id, checked));
      return HttpResponse.ok(new StreamedBody(streams, place, new ChunkSource(chunks), false))
          .contentType(chunks.artifact().contentType())
          .contentLength(chunks.artifact().bytes())
          .header(HttpHeaders.LAST_MODIFIED, httpTime(chunks.artifact().updatedAt()))
          // A page among the files may not speak for this site, and nothing is taken for a page.
          .header("Content-Security-Policy", "sandbox allow-scripts")
          .header("X-Content-Type-Options", "nosniff");
    } catch (RuntimeException e) {
      place.close();
      throw e;
    }
  }

  private static String httpTime(Instant time) {
    return DateTimeFormatter.RFC_1123_DATE_TIME.format(time.atOffset(ZoneOffset.UTC));
  }

  private static PageRequest page(int size, @Nullable String token) {
    return ResourceNames.page(size, orEmpty(token));
  }

  private static String orEmpty(@Nullable String text) {
    return text == null ? "" : text;
  }

  private static Caller caller(HttpRequest<?> request) {
    return AuthenticationFilter.caller(request);
  }
}
