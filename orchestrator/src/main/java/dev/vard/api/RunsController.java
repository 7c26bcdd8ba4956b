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
import io.swagger.v3.oas.annotations.Parameter;
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

/** Runs over HTTP: translates. */
@Controller("/v1/runs")
@ExecuteOn(TaskExecutors.BLOCKING)
@Requires(property = ApiProperties.ENABLED)
@ApiResponse(
    responseCode = "400",
    description =
        "The request is wrong: `code` is INVALID_ARGUMENT, or FAILED_PRECONDITION where the run's"
            + " state does not allow it.",
    content =
        @Content(
            mediaType = RunsController.PROBLEM,
            schema = @Schema(implementation = Rest.Problem.class)))
@ApiResponse(
    responseCode = "401",
    description = "It does not say who asks, or the token is not known.",
    content =
        @Content(
            mediaType = RunsController.PROBLEM,
            schema = @Schema(implementation = Rest.Problem.class)))
@ApiResponse(
    responseCode = "403",
    description = "It comes from another site's page.",
    content =
        @Content(
            mediaType = RunsController.PROBLEM,
            schema = @Schema(implementation = Rest.Problem.class)))
@ApiResponse(
    responseCode = "406",
    description = "The answer's type is none that the caller accepts.",
    content =
        @Content(
            mediaType = RunsController.PROBLEM,
            schema = @Schema(implementation = Rest.Problem.class)))
@ApiResponse(
    responseCode = "413",
    description = "The body is too large.",
    content =
        @Content(
            mediaType = RunsController.PROBLEM,
            schema = @Schema(implementation = Rest.Problem.class)))
@ApiResponse(
    responseCode = "503",
    description = "The database does not answer: the same may succeed later.",
    content =
        @Content(
            mediaType = RunsController.PROBLEM,
            schema = @Schema(implementation = Rest.Problem.class)))
final class RunsController {
  static final String PROBLEM = MediaType.APPLICATION_JSON_PROBLEM;

  private static final String EVENT_STREAM = MediaType.TEXT_EVENT_STREAM;
  private static final int DEFAULT_EVENTS = 50;
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(15);
  private static final Duration PATIENCE = Duration.ofSeconds(1);

  private final Runs runs;
  private final Streams streams;

  RunsController(Runs runs, Streams streams) {
    this.runs = runs;
    this.streams = streams;
  }

  @Post(consumes = MediaType.APPLICATION_JSON)
  @Status(HttpStatus.CREATED)
  @Operation(operationId = "CreateRun", summary = "Puts a run into the queue.")
  @RequestBody(
      required = true,
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON,
              schema = @Schema(implementation = Rest.CreateRun.class)))
  @ApiResponse(
      responseCode = "201",
      description = "The run, or the one that the same request made before.")
  @ApiResponse(
      responseCode = "409",
      description = "The request id was used for another request.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "415",
      description = "The body is not application/json.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "429",
      description = "The owner has as many runs as one may.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  HttpResponse<Rest.Run> create(HttpRequest<?> request, @Body byte[] body) {
    Rest.Run run = Rest.Run.of(runs.create(caller(request), Creations.read(body)));
    return HttpResponse.created(run).header(HttpHeaders.LOCATION, "/v1/" + run.name());
  }

  @Get
  @Operation(operationId = "ListRuns", summary = "Lists runs, the newest first.")
  @ApiResponse(responseCode = "200", description = "A page of them.")
  Rest.RunPage list(
      HttpRequest<?> request,
      @Parameter(
              description = "0 for 50.",
              schema =
                  @Schema(
                      type = "integer",
                      format = "int32",
                      minimum = "0",
                      maximum = "1000",
                      defaultValue = "0"))
          @QueryValue(value = "page_size", defaultValue = "0")
          int pageSize,
      @Parameter(
              description = "The answer's `next_page_token`; empty for the first page.",
              schema = @Schema(type = "string", maxLength = 1024))
          @Nullable
          @QueryValue("page_token")
          String pageToken,
      @Parameter(
              description =
                  "Terms joined by AND, as `state = RUNNING AND display_name = \"emoji*\"`. Fields:"
                      + " state, owner, display_name, priority, create_time; operators: = != < <= >"
                      + " >=; a * at an end of a text stands for anything.",
              schema = @Schema(type = "string", maxLength = 2048))
          @Nullable
          @QueryValue
          String filter) {
    return Rest.RunPage.of(runs.list(caller(request), page(pageSize, pageToken), orEmpty(filter)));
  }

  @Get("/{run}")
  @Operation(operationId = "GetRun", summary = "Gets a run.")
  @ApiResponse(responseCode = "200", description = "The run.")
  @ApiResponse(
      responseCode = "404",
      description = "It is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  Rest.Run get(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run) {
    return Rest.Run.of(runs.get(caller(request), ResourceNames.checkedId(run)));
  }

  @Post(value = "/{run}:cancel", consumes = MediaType.ALL)
  @Operation(
      operationId = "CancelRun",
      summary = "Stops a run.",
      description =
          "A running one stops between two denoising or gradient steps, and can be resumed.")
  @ApiResponse(responseCode = "200", description = "The run.")
  @ApiResponse(
      responseCode = "404",
      description = "It is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  Rest.Run cancel(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run) {
    return Rest.Run.of(runs.cancel(caller(request), ResourceNames.checkedId(run)));
  }

  @Post(value = "/{run}:resume", consumes = MediaType.ALL)
  @Operation(
      operationId = "ResumeRun",
      summary = "Puts a paused, cancelled or failed run back into the queue.",
      description = "It goes on where it was.")
  @ApiResponse(responseCode = "200", description = "The run.")
  @ApiResponse(
      responseCode = "404",
      description = "It is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "429",
      description = "The owner has as many runs as one may.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  Rest.Run resume(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run) {
    return Rest.Run.of(runs.resume(caller(request), ResourceNames.checkedId(run)));
  }

  @Delete("/{run}")
  @Status(HttpStatus.NO_CONTENT)
  @Operation(
      operationId = "DeleteRun",
      summary = "Forgets a run that does not run, and removes its files.")
  @ApiResponse(responseCode = "204", description = "It is gone.")
  @ApiResponse(
      responseCode = "404",
      description = "It is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  void delete(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run) {
    runs.delete(caller(request), ResourceNames.checkedId(run));
  }

  @Get(value = "/{run}/events", headRoute = false)
  @Produces({MediaType.APPLICATION_JSON, EVENT_STREAM})
  @Operation(
      operationId = "WatchRun",
      summary = "A run's events, from any one on.",
      description =
          "With `Accept: text/event-stream` a stream of server-sent events, then of those to come;"
              + " it ends after the last event of a run that is done, failed or cancelled, and 204"
              + " is the answer to those who come back after it. Otherwise a page of the events"
              + " that are there.")
  @ApiResponse(
      responseCode = "200",
      description = "The events.",
      content = {
        @Content(
            mediaType = MediaType.APPLICATION_JSON,
            schema = @Schema(implementation = Rest.EventPage.class)),
        @Content(mediaType = EVENT_STREAM, schema = @Schema(type = "string"))
      })
  @ApiResponse(responseCode = "204", description = "The run has ended, and no event is left.")
  @ApiResponse(
      responseCode = "404",
      description = "It is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "429",
      description = "The owner, or everybody together, has as many streams open as may be.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  HttpResponse<?> events(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run,
      @Parameter(
              description = "Only events with a greater sequence number.",
              schema =
                  @Schema(type = "integer", format = "int64", minimum = "0", defaultValue = "0"))
          @QueryValue(value = "after_sequence", defaultValue = "0")
          long afterSequence,
      @Parameter(
              description = "Of a page; 0 for 50.",
              schema =
                  @Schema(
                      type = "integer",
                      format = "int32",
                      minimum = "0",
                      maximum = "1000",
                      defaultValue = "0"))
          @QueryValue(value = "page_size", defaultValue = "0")
          int pageSize,
      @Parameter(
              description =
                  "The last sequence number that the caller saw; counts more than"
                      + " `after_sequence`.",
              schema = @Schema(type = "integer", format = "int64", minimum = "0"))
          @Header("Last-Event-ID")
          @Nullable
          Long lastEventId)
      throws InterruptedException {
    Caller caller = caller(request);
    String id = ResourceNames.checkedId(run);
    long after =
        lastEventId == null
            ? ResourceNames.notNegative("after_sequence", afterSequence)
            : ResourceNames.notNegative("Last-Event-ID", lastEventId);
    int size = ResourceNames.page(pageSize, "").size();
    RunView view = runs.get(caller, id);
    if (request.accept().stream()
        .anyMatch(
            type ->
                type.matches(MediaType.TEXT_EVENT_STREAM_TYPE) && !type.getType().equals("*"))) {
      return eventStream(caller, view, after);
    }
    return HttpResponse.ok(
            EventJson.page(page(caller, view, after, size == 0 ? DEFAULT_EVENTS : size)))
        .contentType(MediaType.APPLICATION_JSON_TYPE);
  }

  private HttpResponse<?> eventStream(Caller caller, RunView view, long after) {
    if (view.run().status().ended() && after >= view.run().lastSequence()) {
      // Browsers come back after every end of a stream, but not after this.
      return HttpResponse.noContent();
    }
    Streams.Place place = streams.enter(caller);
    try {
      StreamTask.Source<byte[]> source =
          new EventSource<>(
              runs.watch(caller, view.run().id(), after),
              EventJson::serverSent,
              Optional.of(new EventSource.KeepAlive<>(KEEP_ALIVE, EventJson.KEEP_ALIVE)));
      return HttpResponse.ok(new StreamedBody(streams, place, source, true))
          .contentType(EVENT_STREAM)
          .header(HttpHeaders.CACHE_CONTROL, "no-store");
    } catch (RuntimeException e) {
      place.close();
      throw e;
    }
  }

  /** The events that are there now: none is waited for. */
  private List<StoredEvent> page(Caller caller, RunView view, long after, int size)
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
    return events;
  }

  @Get("/{run}/samples")
  @Operation(operationId = "ListSamples", summary = "Lists the images of the evaluations.")
  @ApiResponse(responseCode = "200", description = "A page of them.")
  @ApiResponse(
      responseCode = "404",
      description = "The run is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  Rest.SamplePage samples(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run,
      @Parameter(
              description = "Only of the evaluation after this many iterations.",
              schema = @Schema(type = "integer", format = "int32", minimum = "0"))
          @QueryValue
          @Nullable
          Integer iteration,
      @Parameter(
              description = "0 for 50.",
              schema =
                  @Schema(
                      type = "integer",
                      format = "int32",
                      minimum = "0",
                      maximum = "1000",
                      defaultValue = "0"))
          @QueryValue(value = "page_size", defaultValue = "0")
          int pageSize,
      @Parameter(
              description = "The answer's `next_page_token`; empty for the first page.",
              schema = @Schema(type = "string", maxLength = 1024))
          @Nullable
          @QueryValue("page_token")
          String pageToken) {
    String id = ResourceNames.checkedId(run);
    OptionalInt of =
        iteration == null
            ? OptionalInt.empty()
            : OptionalInt.of((int) ResourceNames.notNegative("iteration", iteration));
    return Rest.SamplePage.of(id, runs.samples(caller(request), id, of, page(pageSize, pageToken)));
  }

  @Get("/{run}/artifacts")
  @Operation(operationId = "ListArtifacts", summary = "Lists the files that a run has made.")
  @ApiResponse(responseCode = "200", description = "A page of them.")
  @ApiResponse(
      responseCode = "404",
      description = "The run is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  Rest.ArtifactPage artifacts(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run,
      @Parameter(
              description = "0 for 50.",
              schema =
                  @Schema(
                      type = "integer",
                      format = "int32",
                      minimum = "0",
                      maximum = "1000",
                      defaultValue = "0"))
          @QueryValue(value = "page_size", defaultValue = "0")
          int pageSize,
      @Parameter(
              description = "The answer's `next_page_token`; empty for the first page.",
              schema = @Schema(type = "string", maxLength = 1024))
          @Nullable
          @QueryValue("page_token")
          String pageToken) {
    String id = ResourceNames.checkedId(run);
    return Rest.ArtifactPage.of(id, runs.artifacts(caller(request), id, page(pageSize, pageToken)));
  }

  @Get(value = "/{run}/artifacts/{+path}", headRoute = false)
  @Produces(MediaType.ALL)
  @Operation(
      operationId = "DownloadArtifact",
      summary = "Downloads a file.",
      description = "Of a file that grows, as much as was there when the download began.")
  @ApiResponse(
      responseCode = "200",
      description = "Its bytes.",
      content =
          @Content(mediaType = MediaType.ALL, schema = @Schema(type = "string", format = "binary")))
  @ApiResponse(
      responseCode = "404",
      description = "The run or the file is not there, or not this caller's.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "429",
      description = "The owner, or everybody together, has as many streams open as may be.",
      content =
          @Content(mediaType = PROBLEM, schema = @Schema(implementation = Rest.Problem.class)))
  HttpResponse<?> download(
      HttpRequest<?> request,
      @Parameter(schema = @Schema(type = "string", pattern = "^" + ResourceNames.RUN_ID + "$"))
          @PathVariable
          String run,
      @Parameter(
              description = "As `artifacts` lists it, slashes included.",
              schema = @Schema(type = "string", minLength = 1, maxLength = ResourceNames.MAX_PATH))
          @PathVariable
          String path) {
    Caller caller = caller(request);
    String id = ResourceNames.checkedId(run);
    String checked = ResourceNames.checkedPath("path", path);
    Streams.Place place = streams.enter(caller);
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
