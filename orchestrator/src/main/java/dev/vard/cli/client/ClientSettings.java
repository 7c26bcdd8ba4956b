package dev.vard.cli.client;

import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.bind.annotation.Bindable;
import java.util.Optional;

/**
 * What does not change from one command to the next, by environment variables.
 *
 * @param server {@code VARD_SERVER}, the server's address
 * @param token {@code VARD_TOKEN}, what shows the server who asks; not on the command line, where
 *     every user of the machine could read it
 */
@ConfigurationProperties("vard")
record ClientSettings(
    @Bindable(defaultValue = "127.0.0.1:50051") String server, Optional<String> token) {

  /** Without the token. */
  @Override
  public String toString() {
    return "ClientSettings[server=" + server + "]";
  }
}
