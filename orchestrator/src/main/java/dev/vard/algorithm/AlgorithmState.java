package dev.vard.algorithm;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;

/** What decides the rest of a run. Written and read as JSON. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "algorithm")
@JsonSubTypes({
  @JsonSubTypes.Type(value = VardState.class, name = "vard"),
  @JsonSubTypes.Type(value = DdpoState.class, name = "ddpo")
})
public sealed interface AlgorithmState permits VardState, DdpoState {
  Progress progress();

  /** How many iterations' trajectories have their rewards. */
  int scored();

  /** What the controller of the KL remembers. */
  KlState kl();
}
