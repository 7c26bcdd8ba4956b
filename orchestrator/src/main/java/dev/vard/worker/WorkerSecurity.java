package dev.vard.worker;

import dev.vard.files.TextFile;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.bind.annotation.Bindable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Executor;

/**
 * How connections to {@link WorkerLocation.Remote} workers are secured: by environment variables
 * ({@code VARD_WORKER_CA}, {@code VARD_WORKER_CERTIFICATE}, {@code VARD_WORKER_KEY}, {@code
 * VARD_WORKER_TOKEN_FILE}) or a configuration file. The files are read anew for each connection, so
 * that they can be renewed.
 *
 * @param ca PEM file with the authorities whose certificates workers are believed by; empty for a
 *     connection that is not encrypted
 * @param certificate PEM file with this orchestrator's certificate chain, for workers that ask for
 *     one; empty for none
 * @param key PEM file with its private key
 * @param tokenFile file with the token that workers ask for; empty for none
 */
@ConfigurationProperties("vard.worker")
public record WorkerSecurity(
    @Bindable(defaultValue = "") String ca,
    @Bindable(defaultValue = "") String certificate,
    @Bindable(defaultValue = "") String key,
    @Bindable(defaultValue = "") String tokenFile) {

  /** No encryption, no token: for workers that only this machine, or a trusted network, reaches. */
  public static final WorkerSecurity NONE = new WorkerSecurity("", "", "", "");

  public WorkerSecurity {
    if (certificate.isEmpty() != key.isEmpty()) {
      throw new IllegalArgumentException(
          "VARD_WORKER_CERTIFICATE and VARD_WORKER_KEY go together: set both, or neither");
    }
    if (ca.isEmpty() && !certificate.isEmpty()) {
      throw new IllegalArgumentException(
          "VARD_WORKER_CERTIFICATE is for TLS: set VARD_WORKER_CA too");
    }
  }

  boolean encrypts() {
    return !ca.isEmpty();
  }

  /**
   * @throws WorkerException UNAVAILABLE, if a file cannot be read or is not what it should be
   */
  ChannelCredentials channel() {
    if (!encrypts()) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
    try {
      credentials.trustManager(Path.of(ca).toFile());
      if (!certificate.isEmpty()) {
        credentials.keyManager(Path.of(certificate).toFile(), Path.of(key).toFile());
      }
    } catch (IOException e) {
      throw unreadable("VARD_WORKER_CA, VARD_WORKER_CERTIFICATE or VARD_WORKER_KEY", e);
    }
    return credentials.build();
  }

  /**
   * @throws WorkerException UNAVAILABLE, if the token's file cannot be read
   */
  Optional<CallCredentials> token() {
    if (tokenFile.isEmpty()) {
      return Optional.empty();
    }
    try {
      return Optional.of(new Bearer(TextFile.read(Path.of(tokenFile)).strip()));
    } catch (IOException e) {
      throw unreadable("VARD_WORKER_TOKEN_FILE", e);
    }
  }

  private static WorkerException unreadable(String variable, IOException e) {
    return WorkerException.unavailable(
        "the file that "
            + variable
            + " names cannot be read: "
            + e.getClass().getSimpleName()
            + ": "
            + e.getMessage(),
        e);
  }

  /** A token in each call's headers. Does not print it. */
  public static final class Bearer extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final Metadata headers = new Metadata();

    public Bearer(String token) {
      headers.put(AUTHORIZATION, "Bearer " + token);
    }

    @Override
    public void applyRequestMetadata(
        RequestInfo request, Executor executor, MetadataApplier applier) {
      try {
        applier.apply(headers);
      } catch (RuntimeException e) {
        applier.fail(Status.UNAUTHENTICATED.withCause(e));
      }
    }
  }
}
