package dev.vard.serve;

import dev.vard.spec.Confinement;
import dev.vard.spec.SpecReader;
import dev.vard.store.RunStore;
import dev.vard.worker.OrphanedWorkers;
import dev.vard.worker.WorkerClients;
import dev.vard.worker.WorkerSecurity;
import io.micronaut.context.annotation.Bean;
import io.micronaut.context.annotation.Factory;
import io.micronaut.context.annotation.Property;
import io.micronaut.context.annotation.Requires;
import io.micronaut.data.connection.jdbc.advice.DelegatingDataSource;
import jakarta.inject.Singleton;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import javax.sql.DataSource;

/** Puts the server's parts together. */
@Factory
@Requires(beans = DataSource.class)
final class ServeBeans {
  private static final Duration LOOK = Duration.ofSeconds(1);

  @Singleton
  RunFolders folders(@Property(name = "vard.runs", defaultValue = "runs") String runs) {
    return new RunFolders(Path.of(runs));
  }

  @Singleton
  @Bean(preDestroy = "close")
  EventFeed feed(RunStore store) {
    return new EventFeed(store, LOOK);
  }

  @Singleton
  @Bean(preDestroy = "close")
  WorkerPool pool(ServeSettings settings, WorkerSecurity security, RunFolders folders) {
    // Of this machine's orchestrators: process ids mean nothing on another one.
    Path folder = folders.workers(host());
    OrphanedWorkers.end(folder);
    return new WorkerPool(
        settings.workers(),
        (location, name) ->
            WorkerClients.open(
                location,
                folder.resolve(name(settings) + "-" + name + ".log"),
                security,
                Optional.of(folder)));
  }

  @Singleton
  @Bean(preDestroy = "close")
  Dispatcher dispatcher(
      RunStore store,
      DataSource dataSource,
      WorkerPool pool,
      RunFolders folders,
      EventFeed feed,
      ServeSettings settings,
      Clock clock) {
    return new Dispatcher(
        store,
        // db-scheduler brings its own transactions: Micronaut's proxy has a connection only within
        // one of Micronaut's.
        DelegatingDataSource.unwrapDataSource(dataSource),
        pool,
        folders,
        reader(settings),
        feed,
        name(settings),
        Dispatcher.Pace.DEFAULT,
        clock);
  }

  @Singleton
  @Bean(preDestroy = "close")
  SpecificationReading reading() {
    return SpecificationReading.ofServer();
  }

  @Singleton
  Runs runs(
      RunStore store,
      Dispatcher dispatcher,
      EventFeed feed,
      RunFolders folders,
      SpecificationReading reading,
      ServeSettings settings,
      Clock clock) {
    return new DefaultRuns(
        store, dispatcher, feed, folders, reader(settings), reading, settings, clock);
  }

  @Singleton
  Readiness readiness(RunStore store, WorkerPool pool, Dispatcher dispatcher, Clock clock) {
    return new Readiness(store, pool, dispatcher::draining, clock);
  }

  @Singleton
  Orchestrator orchestrator(Dispatcher dispatcher, Readiness readiness) {
    return new Orchestrator(dispatcher, readiness);
  }

  private static SpecReader reader(ServeSettings settings) {
    List<Path> roots =
        Optional.ofNullable(settings.modelRoots()).orElse(List.of()).stream()
            .map(Path::of)
            .toList();
    for (Path root : roots) {
      if (!Files.isDirectory(root)) {
        throw new IllegalArgumentException(
            "model root " + root + " is no folder: name one that holds models");
      }
    }
    Path home = Path.of(Optional.ofNullable(System.getenv("VARD_HOME")).orElse(""));
    return SpecReader.confined(
        new Confinement(
            roots.isEmpty() ? List.of(home.resolve("checkpoints")) : roots,
            settings.allowHub(),
            settings.maxPrompts(),
            settings.rewards() == null ? Set.of() : Set.copyOf(settings.rewards())));
  }

  /**
   * What tells this orchestrator from the others of its database. The port does, where it is fixed,
   * from one life to the next; else only the process.
   */
  private static String name(ServeSettings settings) {
    if (!settings.instance().isEmpty()) {
      return settings.instance();
    }
    return host()
        + "-"
        + (settings.grpcPort() == 0 ? ProcessHandle.current().pid() : settings.grpcPort());
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost";
    }
  }
}
