package dev.vard.cli;

import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.bind.annotation.Bindable;

/**
 * What is set for a machine, and not for a run: by environment variables, as {@code VARD_RUNS}.
 *
 * @param runs folder that gets a folder for each run; another disk may have more room
 */
@ConfigurationProperties("vard")
record MachineSettings(@Bindable(defaultValue = "runs") String runs) {}
