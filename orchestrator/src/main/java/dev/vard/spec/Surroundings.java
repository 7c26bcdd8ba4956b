package dev.vard.spec;

import java.nio.file.Path;
import java.util.Optional;

/**
 * Where a specification is read.
 *
 * @param processors what {@code threads} is where a specification does not say
 * @param confinement of what others send
 * @param toSend whether what is read here is run elsewhere
 */
record Surroundings(
    Path workingDirectory, int processors, Optional<Confinement> confinement, boolean toSend) {}
