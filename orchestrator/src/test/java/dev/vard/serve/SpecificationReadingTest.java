package dev.vard.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.serve.RequestException.Code;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class SpecificationReadingTest {

  @Test
  void shouldReadOnAThreadOfThePlatform() {
    try (SpecificationReading reading = new SpecificationReading(1, 1, Duration.ofSeconds(20))) {
      assertThat(reading.read(() -> Thread.currentThread().isVirtual())).isFalse();
    }
  }

  @Test
  void shouldGiveUpAtTheDeadlineAndInterruptTheReader() throws Exception {
    CountDownLatch interrupted = new CountDownLatch(1);
    try (SpecificationReading reading = new SpecificationReading(1, 1, Duration.ofMillis(50))) {
      RequestException refused =
          catchThrowableOfType(
              RequestException.class,
              () ->
                  reading.read(
                      () -> {
                        try {
                          new CountDownLatch(1).await();
                        } catch (InterruptedException e) {
                          interrupted.countDown();
                        }
                        return 0;
                      }));

      assertThat(refused.code()).isEqualTo(Code.DEADLINE_EXCEEDED);
      assertThat(refused.field()).contains("specification");
      interrupted.await();
    }
  }

  @Test
  void shouldRefuseWhereTooManyWait() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    try (SpecificationReading reading = new SpecificationReading(1, 1, Duration.ofSeconds(20))) {
      CompletableFuture<Boolean> first =
          CompletableFuture.supplyAsync(
              () ->
                  reading.read(
                      () -> {
                        begun.countDown();
                        return await(end);
                      }),
              Thread::startVirtualThread);
      begun.await();
      CompletableFuture<Boolean> second =
          CompletableFuture.supplyAsync(() -> reading.read(() -> true), Thread::startVirtualThread);
      while (reading.waiting() == 0) {
        Thread.sleep(1);
      }

      RequestException refused =
          catchThrowableOfType(RequestException.class, () -> reading.read(() -> true));

      assertThat(refused.code()).isEqualTo(Code.RESOURCE_EXHAUSTED);
      end.countDown();
      assertThat(first.get()).isTrue();
      assertThat(second.get()).isTrue();
    }
  }

  private static boolean await(CountDownLatch latch) {
    try {
      latch.await();
      return true;
    } catch (InterruptedException e) {
      return false;
    }
  }
}
