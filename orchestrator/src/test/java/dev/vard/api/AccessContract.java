package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Who may see which runs. */
abstract class AccessContract extends ApiBehaviour {
  AccessContract(ApiFixture fixture) {
    super(fixture);
  }

  @Test
  void shouldNotKnowARunOfSomebodyElse() {
    refusesAll("NOT_FOUND", bob, make(alice));
  }

  @Test
  void shouldShowAnAdminEverybodysRuns() {
    String run = make(alice);

    assertThat(root.get(run).owner()).isEqualTo("alice");
    assertThat(names(root.list(1000, "", ""))).contains("runs/" + run);
  }

  @Test
  void shouldListAnOwnersRunsAlone() {
    String alices = make(alice);
    String bobs = make(bob);

    assertThat(names(bob.list(1000, "", "")))
        .contains("runs/" + bobs)
        .doesNotContain("runs/" + alices);
  }

  @Test
  void shouldRefuseWhoDoesNotSayWhoAsks() {
    refusesAll("UNAUTHENTICATED", nobody, "any");
  }

  @Test
  void shouldRefuseATokenThatItDoesNotKnow() {
    refusesAll("UNAUTHENTICATED", nobody.as("nobodys-token-0123456789"), "any");
  }
}
