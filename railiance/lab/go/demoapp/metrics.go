package main

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"sync"
	"time"
)

// bounds are the upper edges of the latency buckets, in seconds.
var bounds = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}

// metrics are the counters of `/`.
type metrics struct {
	mutex    sync.Mutex
	requests map[int]uint64 // by status code
	buckets  []uint64       // answers at or below each bound
	seconds  float64
	total    uint64
}

func newMetrics() *metrics {
	// Both codes exist from the start: a series that begins at its first failure hides that failure from rate().
	return &metrics{requests: map[int]uint64{200: 0, 500: 0}, buckets: make([]uint64, len(bounds))}
}

func (m *metrics) count(status int, took time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.requests[status]++
	m.total++
	m.seconds += took.Seconds()
	for i, bound := range bounds {
		if took.Seconds() <= bound {
			m.buckets[i]++
		}
	}
}

func (m *metrics) write(w io.Writer, version string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	fmt.Fprintln(w, "# HELP demoapp_build_info The version that runs.\n# TYPE demoapp_build_info gauge")
	fmt.Fprintf(w, "demoapp_build_info{version=%s} 1\n", strconv.Quote(version))
	fmt.Fprintln(w, "# HELP http_requests_total Answers by status code.\n# TYPE http_requests_total counter")
	for _, code := range m.codes() {
		fmt.Fprintf(w, "http_requests_total{code=\"%d\"} %d\n", code, m.requests[code])
	}
	fmt.Fprintln(w, "# HELP http_request_duration_seconds Time to answer.\n# TYPE http_request_duration_seconds histogram")
	for i, bound := range bounds {
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{le=\"%g\"} %d\n", bound, m.buckets[i])
	}
	fmt.Fprintf(w, "http_request_duration_seconds_bucket{le=\"+Inf\"} %d\n", m.total)
	fmt.Fprintf(w, "http_request_duration_seconds_sum %g\n", m.seconds)
	fmt.Fprintf(w, "http_request_duration_seconds_count %d\n", m.total)
}

func (m *metrics) codes() []int {
	codes := make([]int, 0, len(m.requests))
	for code := range m.requests {
		codes = append(codes, code)
	}
	sort.Ints(codes)
	return codes
}
