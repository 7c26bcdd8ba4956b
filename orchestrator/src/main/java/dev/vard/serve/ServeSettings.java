package dev.vard.serve;

import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.core.bind.annotation.Bindable;
import java.util.List;

/**
 * How a server is set up: by {@code vard serve}'s options, environment variables (as {@code
 * VARD_SERVE_GRPC_PORT}) or a configuration file.
 *
 * @param host address to listen at; beyond loopback only with tokens or client certificates
 * @param grpcPort 0 for any free one
 * @param httpPort 0 for any free one
 * @param workers the pool: {@code local}, {@code embedded} or {@code host:port} each; a run has one
 *     of them to itself
 * @param instance names this orchestrator among those that share a database; must be its own. Empty
 *     for the host's name and the gRPC port
 * @param tokens file with a line {@code OWNER TOKEN [admin]} for each token; empty for none
 * @param certificate PEM file with the server's certificate chain; empty for no TLS
 * @param key PEM file with its private key
 * @param clientAuthority PEM file with the authorities whose client certificates are let in (mTLS);
 *     the certificate's common name is the owner; empty for none
 * @param behindTlsProxy whether a proxy in front ends TLS: without TLS of its own, a server with
 *     tokens listens beyond loopback only then
 * @param modelRoots folders that a specification's {@code model.checkpoint} may lie in
 * @param allowHub whether {@code model.checkpoint} may be a hub id
 * @param rewards what a specification's {@code reward} may ask beside what is built in: {@code
 *     java:CLASS}, {@code python:MODULE:NAME}, {@code grpc:HOST:PORT} or a URL
 * @param maxSpecificationBytes a specification's size, prompts included
 * @param maxPrompts prompts of a specification
 * @param maxQueries images that one run may have scored, in training and evaluation
 * @param maxPasses passes of an image through a network that one run may take: images times
 *     denoising steps, and gradient steps times batch
 * @param maxActiveRuns runs of one owner that have not ended
 * @param maxStreams watchers and downloads at the same time
 * @param maxStreamsPerOwner the same, of one owner
 * @param slowReaderSeconds a stream whose reader takes nothing for so long is dropped
 * @param maxConnections of each of the two ports; beyond it the connection that has had nothing
 *     asked for longest makes room for the next, and where all are in use the next is refused
 * @param slowRequestSeconds a request that has not arrived whole in so long is refused, headers and
 *     body each
 * @param maxBufferedBytes of requests that have not arrived whole or are not answered, together
 */
@ConfigurationProperties("vard.serve")
public record ServeSettings(
    @Bindable(defaultValue = "127.0.0.1") String host,
    @Bindable(defaultValue = "50051") int grpcPort,
    @Bindable(defaultValue = "8080") int httpPort,
    @Bindable(defaultValue = "local") List<String> workers,
    @Bindable(defaultValue = "") String instance,
    @Bindable(defaultValue = "") String tokens,
    @Bindable(defaultValue = "") String certificate,
    @Bindable(defaultValue = "") String key,
    @Bindable(defaultValue = "") String clientAuthority,
    @Bindable(defaultValue = "false") boolean behindTlsProxy,
    @Nullable List<String> modelRoots,
    @Bindable(defaultValue = "false") boolean allowHub,
    @Nullable List<String> rewards,
    @Bindable(defaultValue = "1048576") int maxSpecificationBytes,
    @Bindable(defaultValue = "100000") int maxPrompts,
    @Bindable(defaultValue = "1000000") long maxQueries,
    @Bindable(defaultValue = "100000000") long maxPasses,
    @Bindable(defaultValue = "100") int maxActiveRuns,
    @Bindable(defaultValue = "4096") int maxStreams,
    @Bindable(defaultValue = "2048") int maxStreamsPerOwner,
    @Bindable(defaultValue = "30") int slowReaderSeconds,
    @Bindable(defaultValue = "6000") int maxConnections,
    @Bindable(defaultValue = "20") int slowRequestSeconds,
    @Bindable(defaultValue = "67108864") long maxBufferedBytes) {}
