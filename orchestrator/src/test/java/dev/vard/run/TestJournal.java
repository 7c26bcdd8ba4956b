package dev.vard.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import dev.vard.reward.Answer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * A journal that outlives its engine, as a database would: states go through JSON, generations are
 * fenced. Each write can be told of before and after it is done.
 */
final class TestJournal implements RunJournal {

  /** What all generations share. */
  static final class Store {
    private final ObjectMapper mapper = new ObjectMapper().registerModule(new Jdk8Module());
    private final RunJson json = new RunJson();
    private final List<String> events = new ArrayList<>();
    private final Map<String, Map<Integer, Answer>> answers = new HashMap<>();
    private final Map<String, Double> digests = new HashMap<>();
    private final List<String> checkpoints = new ArrayList<>();
    private Optional<String> state = Optional.empty();
    private final ThreadLocal<String> asking = new ThreadLocal<>();
    private final Set<String> paid = new HashSet<>();
    private final Set<String> paidTwice = new HashSet<>();
    private long generation;

    /** This thread asks the reward something: its next answer belongs to it. */
    synchronized void asks(String query) {
      asking.set(query);
      if (paid.contains(query)) {
        paidTwice.add(query);
      }
    }

    /** Queries that were asked after they had been answered. */
    synchronized Set<String> paidTwice() {
      return Set.copyOf(paidTwice);
    }

    /** A new life of the run. */
    synchronized TestJournal claim(Runnable point) {
      generation++;
      return new TestJournal(this, generation, point);
    }

    synchronized List<String> events() {
      return List.copyOf(events);
    }

    synchronized int answers() {
      return answers.values().stream().mapToInt(Map::size).sum();
    }

    private <T> T read(String text, Class<T> type) {
      try {
        return mapper.readValue(text, type);
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
    }

    private String write(Object value) {
      try {
        return mapper.writeValueAsString(value);
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private final Store store;
  private final long generation;
  private final Runnable point;

  private TestJournal(Store store, long generation, Runnable point) {
    this.store = store;
    this.generation = generation;
    this.point = point;
  }

  @Override
  public boolean durable() {
    return true;
  }

  @Override
  public long generation() {
    return generation;
  }

  @Override
  public Optional<RunState> state() {
    synchronized (store) {
      return store.state.map(text -> store.read(text, RunState.class));
    }
  }

  @Override
  public List<String> events() {
    return store.events();
  }

  @Override
  public void commit(RunState state, List<RunEvent> events) {
    write(
        () -> {
          long before = state().map(RunState::step).orElse(-1L);
          if (state.step() != before + 1) {
            throw new IllegalStateException("step " + state.step() + " after " + before);
          }
          store.state = Optional.of(store.write(state));
          add(events);
        });
  }

  @Override
  public void tell(List<RunEvent> events) {
    write(() -> add(events));
  }

  private void add(List<RunEvent> events) {
    events.forEach(event -> store.events.add(store.json.write(event)));
  }

  @Override
  public Map<Integer, Answer> answers(Round round) {
    synchronized (store) {
      return Map.copyOf(store.answers.getOrDefault(round.key(), Map.of()));
    }
  }

  @Override
  public Optional<Double> known(String digest) {
    synchronized (store) {
      return Optional.ofNullable(store.digests.get(digest));
    }
  }

  @Override
  public void answered(Round round, int index, Answer answer, String digest) {
    write(
        () -> {
          Answer before =
              store
                  .answers
                  .computeIfAbsent(round.key(), key -> new TreeMap<>())
                  .putIfAbsent(index, answer);
          if (before != null) {
            throw new IllegalStateException(round.key() + " " + index + " was answered already");
          }
          if (answer instanceof Answer.Scored(double score)) {
            store.digests.putIfAbsent(digest, score);
          }
          store.paid.add(store.asking.get());
        });
  }

  @Override
  public List<Checkpoint> checkpoints() {
    synchronized (store) {
      return store.checkpoints.reversed().stream()
          .map(text -> store.read(text, Checkpoint.class))
          .toList();
    }
  }

  @Override
  public void checkpointed(Checkpoint checkpoint, RunEvent.Checkpointed event) {
    write(
        () -> {
          store.checkpoints.add(store.write(checkpoint));
          add(List.of(event));
        });
  }

  @Override
  public void forget(Checkpoint checkpoint) {
    write(() -> store.checkpoints.remove(store.write(checkpoint)));
  }

  private void write(Runnable change) {
    point.run();
    synchronized (store) {
      if (generation != store.generation) {
        throw new FencedException(generation + " is not " + store.generation);
      }
      change.run();
    }
    point.run();
  }
}
