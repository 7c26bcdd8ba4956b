package dev.vard.reward;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Where one part of the reward is asked, in every round. */
final class Desk {
  final String name;
  final Asker asker;
  final ExecutorService threads;
  final AtomicInteger inFlight = new AtomicInteger();

  /** What identical queries came to, or will. */
  final Map<String, CompletableFuture<RewardOutcome>> cache = new ConcurrentHashMap<>();

  Desk(Rewards.Part part) {
    name = part.name();
    asker = new Asker(part);
    threads =
        Executors.newFixedThreadPool(
            asker.concurrency(),
            Thread.ofPlatform().name("reward-" + name + "-", 0).daemon().factory());
  }
}
