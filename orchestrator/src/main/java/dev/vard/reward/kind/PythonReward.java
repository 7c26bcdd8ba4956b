package dev.vard.reward.kind;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.proto.v1.DescribeRewardRequest;
import dev.vard.proto.v1.DescribeRewardResponse;
import dev.vard.proto.v1.RewardServiceGrpc;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import dev.vard.worker.PythonProcess;
import dev.vard.worker.PythonProcess.StartException;
import dev.vard.worker.WorkerEnvironment;
import dev.vard.worker.WorkerException;
import io.grpc.CallOptions;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.ClientCalls;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Python function, served by a process that lives as long as this does. One that dies is started
 * anew at the next call.
 */
final class PythonReward implements Reward {
  private static final Logger LOG = LoggerFactory.getLogger(PythonReward.class);

  /** A real model loads. */
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  /** Whoever waits for one that loads for longer is told why. */
  private static final Duration TOLD = Duration.ofSeconds(5);

  private static final Duration DESCRIBING = Duration.ofSeconds(30);

  /** How the function's process tells why it cannot serve, in its last line. */
  private static final String COMPLAINT = "vard_rewards: ";

  /** One call is computed while the images of the next one arrive. */
  private static final int CONCURRENCY = 2;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final String name;
  private final RewardSource.Python source;
  private final Duration timeout;
  private final WorkerEnvironment environment;
  private final PythonProcess.Program program;
  private final PythonProcess.Slow slow;

  /** Guards what follows, while a process is started anew too. */
  private final ReentrantLock lock = new ReentrantLock();

  private Served served;
  private boolean closed;
  private Optional<StartException> lastFailure = Optional.empty();

  /** How often it was started anew, or was to be. Read without the lock. */
  private volatile int restarts;

  private PythonReward(
      String name,
      RewardSource.Python source,
      Duration timeout,
      WorkerEnvironment environment,
      PythonProcess.Program program,
      PythonProcess.Slow slow,
      Served served) {
    this.name = name;
    this.source = source;
    this.timeout = timeout;
    this.environment = environment;
    this.program = program;
    this.slow = slow;
    this.served = served;
  }

  /**
   * Starts the function's process, and waits until it can score.
   *
   * @throws RewardException if it cannot
   */
  static PythonReward open(
      String name, RewardSource.Python source, AskingSpec asking, RewardEnvironment environment) {
    return open(name, source, asking, environment, TOLD);
  }

  /**
   * @param told after how long it is told that the function still loads
   */
  static PythonReward open(
      String name,
      RewardSource.Python source,
      AskingSpec asking,
      RewardEnvironment environment,
      Duration told) {
    WorkerEnvironment python;
    try {
      python = environment.python().get();
    } catch (WorkerException e) {
      throw new RewardException(name, "NO_PYTHON", e.getMessage(), false, e);
    }
    List<String> arguments =
        List.of(
            "-m",
            "vard_rewards",
            "serve",
            "--function",
            source.function(),
            "--options",
            json(source),
            "--device",
            source.device());
    PythonProcess.Program program =
        new PythonProcess.Program(
            PythonProcess.Role.REWARD, arguments, environment.log(), PATIENCE, Optional.empty());
    PythonProcess.Slow slow =
        new PythonProcess.Slow(
            told,
            () ->
                LOG.warn(
                    "Reward {} is loading, for which it has {} s; its log: {}",
                    name,
                    PATIENCE.toSeconds(),
                    environment.log()));
    try {
      return new PythonReward(
          name,
          source,
          asking.timeout(),
          python,
          program,
          slow,
          Served.start(python, program, slow));
    } catch (StartException e) {
      // What does not load today does not load tomorrow. One that was killed may have been in want
      // of memory.
      throw e.gaveUp()
          ? new RewardException(name, "NOT_LOADABLE", complaint(e, environment), false, e)
          : new RewardException(name, "UNAVAILABLE", e.getMessage(), true, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RewardException(name, "INTERRUPTED", "interrupted while it started", false, e);
    }
  }

  private static String json(RewardSource.Python source) {
    try {
      return JSON.writeValueAsString(source.options());
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String complaint(StartException e, RewardEnvironment environment) {
    return e.lastWords().startsWith(COMPLAINT)
        ? e.lastWords().substring(COMPLAINT.length()) + "; its log: " + environment.log()
        : e.getMessage();
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int batch() {
    int wanted = described().getBatch();
    return wanted > 0 ? wanted : Integer.MAX_VALUE;
  }

  @Override
  public int concurrency() {
    return CONCURRENCY;
  }

  @Override
  public Optional<Range> range() {
    return RewardMessages.range(described());
  }

  private DescribeRewardResponse described() {
    lock.lock();
    try {
      return served.described();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<RewardOutcome> score(List<RewardQuery> queries) throws InterruptedException {
    Served asked;
    try {
      asked = running();
    } catch (StartException e) {
      // It could once: perhaps memory is short, or a file is about to be mended.
      return all(queries, new Failure("UNAVAILABLE", e.getMessage(), true));
    }
    try {
      return RewardMessages.outcomes(
          source.function(),
          asked.call(
              RewardServiceGrpc.getScoreMethod(), RewardMessages.request("", queries), timeout));
    } catch (StatusException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException("interrupted while it scored");
      }
      return all(queries, failure(asked, e.getStatus()));
    }
  }

  private Failure failure(Served asked, Status status) {
    return switch (status.getCode()) {
      case UNAVAILABLE -> {
        asked.lose();
        yield new Failure("UNAVAILABLE", asked.process().diagnosis(), true);
      }
      case DEADLINE_EXCEEDED ->
          new Failure(
              "TIMEOUT",
              "%s has not returned within %s s: if it is only slow, give reward.timeout more or reward.batch less; if it is stuck, its process is ended and started anew half a minute later, and its log then shows where it was"
                  .formatted(source.function(), timeout.toMillis() / 1000.0),
              true);
      // What the function does is an outcome: this is the server around it.
      default ->
          new Failure(
              status.getCode().name(),
              "the process of %s failed: %s; see its log, %s"
                  .formatted(source.function(), status.getDescription(), program.log()),
              false);
    };
  }

  /**
   * A process that lives, as far as is known. Where it has to be started anew, one thread does so,
   * and the others that came meanwhile get what it got.
   */
  private Served running() throws StartException, InterruptedException {
    int seen = restarts;
    lock.lockInterruptibly();
    try {
      if (closed) {
        throw new InterruptedException("the reward is closed");
      }
      if (served.lives()) {
        return served;
      }
      if (restarts != seen && lastFailure.isPresent()) {
        throw lastFailure.get();
      }
      restarts++;
      LOG.warn(
          "The process of reward {} is gone and started anew; its log: {}", name, program.log());
      served.close();
      try {
        served = Served.start(environment, program, slow);
        lastFailure = Optional.empty();
        return served;
      } catch (StartException e) {
        lastFailure = Optional.of(e);
        throw e;
      }
    } finally {
      lock.unlock();
    }
  }

  private static List<RewardOutcome> all(List<RewardQuery> queries, Failure failure) {
    return Collections.nCopies(queries.size(), failure);
  }

  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      served.close();
    } finally {
      lock.unlock();
    }
  }

  /** For tests. */
  long pid() {
    lock.lock();
    try {
      return served.process().pid();
    } finally {
      lock.unlock();
    }
  }

  /** One life of the process, with the connection to it. */
  private static final class Served implements AutoCloseable {
    /**
     * gRPC's own threads answer pings, however long Python computes: one that does not is stuck.
     */
    private static final Duration PING = Duration.ofSeconds(10);

    private final PythonProcess process;
    private final ManagedChannel channel;
    private DescribeRewardResponse described = DescribeRewardResponse.getDefaultInstance();

    /** Whether the connection broke: the process is dying, or stuck. */
    private volatile boolean lost;

    private Served(PythonProcess process) {
      this.process = process;
      this.channel =
          Grpc.newChannelBuilder("127.0.0.1:" + process.port(), InsecureChannelCredentials.create())
              .keepAliveTime(PING.toSeconds(), TimeUnit.SECONDS)
              .keepAliveTimeout(PING.toSeconds(), TimeUnit.SECONDS)
              .build();
    }

    static Served start(
        WorkerEnvironment environment, PythonProcess.Program program, PythonProcess.Slow slow)
        throws StartException, InterruptedException {
      Served served = new Served(PythonProcess.start(environment, program, slow));
      try {
        served.described =
            served.call(
                RewardServiceGrpc.getDescribeRewardMethod(),
                DescribeRewardRequest.getDefaultInstance(),
                DESCRIBING);
        return served;
      } catch (StatusException e) {
        String why = served.process.diagnosis();
        served.close();
        if (Thread.interrupted()) {
          throw new InterruptedException("interrupted while the reward started");
        }
        throw new StartException(why, e);
      }
    }

    PythonProcess process() {
      return process;
    }

    DescribeRewardResponse described() {
      return described;
    }

    boolean lives() {
      return !lost && process.isAlive();
    }

    void lose() {
      lost = true;
    }

    /** Waits without cost; an interrupt cancels the call, and stays set. */
    <Q, R> R call(MethodDescriptor<Q, R> method, Q request, Duration deadline)
        throws StatusException {
      CallOptions options =
          CallOptions.DEFAULT.withDeadlineAfter(deadline).withCallCredentials(process.token());
      return ClientCalls.blockingV2UnaryCall(channel, method, options, request);
    }

    @Override
    public void close() {
      channel.shutdownNow();
      process.close();
    }
  }
}
