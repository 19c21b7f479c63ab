// Command demoapp is a small web application whose faults can be switched while it runs.
//
//	/          answers a text with the version; the faults apply here
//	/version   answers the version alone
//	/healthz   liveness: 200 as long as the process runs
//	/readyz    readiness: 200, or 503 when switched off or on the way out
//	/metrics   counters and a latency histogram, in Prometheus' text format
//	/fault     ?fail=0.3&delay=200ms&ready=false sets what is named and answers what holds now
//	/crash     ends the process with exit code 1
//
// Environment: PORT (8080), VERSION (dev), FAIL_RATIO (0), DELAY (0s), READY (true), DRAIN_SECONDS (5). On SIGTERM it turns
// unready, keeps answering for DRAIN_SECONDS, so that gateways notice before it goes, and then ends cleanly.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	faults, err := faultsFromEnvironment()
	if err != nil {
		return err
	}
	drain, err := strconv.ParseFloat(setting("DRAIN_SECONDS", "5"), 64)
	if err != nil {
		return fmt.Errorf("DRAIN_SECONDS: %w", err)
	}
	app := &application{version: setting("VERSION", "dev"), faults: faults, metrics: newMetrics()}
	server := &http.Server{Addr: ":" + setting("PORT", "8080"), Handler: app.routes(), ReadHeaderTimeout: 5 * time.Second}

	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Printf("demoapp %s listens on %s", app.version, server.Addr)
	return serveUntilTold(server, app, ended, time.Duration(drain*float64(time.Second)))
}

// serveUntilTold returns when the server failed, or when it was asked to end and has done so.
func serveUntilTold(server *http.Server, app *application, ended <-chan error, drain time.Duration) error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-ended:
		return err
	case <-told:
	}
	app.faults.leave()
	log.Printf("told to end: unready now, answering for %s more", drain)
	select {
	case <-time.After(drain):
	case <-told: // asked twice: do not wait
	}
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type application struct {
	version string
	faults  *faults
	metrics *metrics
}

func (a *application) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", a.root)
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, a.version) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", a.readiness)
	mux.HandleFunc("/metrics", a.showMetrics)
	mux.HandleFunc("/fault", a.setFaults)
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { log.Print("asked to crash"); os.Exit(1) })
	return mux
}

func (a *application) root(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	now := a.faults.now()
	select {
	case <-time.After(now.delay):
	case <-r.Context().Done():
	}
	status := http.StatusOK
	if rand.Float64() < now.fail {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Version", a.version)
	w.WriteHeader(status)
	if status == http.StatusOK {
		fmt.Fprintf(w, "demoapp %s\n", a.version)
	} else {
		fmt.Fprintf(w, "demoapp %s: failing on purpose\n", a.version)
	}
	a.metrics.count(status, time.Since(started))
}

func (a *application) readiness(w http.ResponseWriter, _ *http.Request) {
	if !a.faults.now().ready {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (a *application) showMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	a.metrics.write(w, a.version)
}

func (a *application) setFaults(w http.ResponseWriter, r *http.Request) {
	if err := a.faults.set(r.URL.Query()); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	now := a.faults.now()
	fmt.Fprintf(w, "fail=%g delay=%s ready=%t\n", now.fail, now.delay, now.ready)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
