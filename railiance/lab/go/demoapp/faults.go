package main

import (
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// state is what holds at one moment.
type state struct {
	fail  float64       // share of answers that are 500, 0 to 1
	delay time.Duration // wait before each answer
	ready bool
}

// faults are the switches; requests read them while a person sets them.
type faults struct {
	mutex   sync.Mutex
	state   state
	leaving bool
}

func faultsFromEnvironment() (*faults, error) {
	f := &faults{state: state{ready: true}}
	values := url.Values{}
	for name, key := range map[string]string{"FAIL_RATIO": "fail", "DELAY": "delay", "READY": "ready"} {
		if value := setting(name, ""); value != "" {
			values.Set(key, value)
		}
	}
	return f, f.set(values)
}

func (f *faults) now() state {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	current := f.state
	current.ready = current.ready && !f.leaving
	return current
}

// leave turns readiness off for good.
func (f *faults) leave() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.leaving = true
}

// set changes the switches that values name: all of them, or, when one is unreadable or unknown, none.
func (f *faults) set(values url.Values) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	next := f.state
	for name, given := range values {
		if len(given) != 1 {
			return fmt.Errorf("%s: given %d times", name, len(given))
		}
		var err error
		switch value := values.Get(name); name {
		case "fail":
			next.fail, err = ratio(value)
		case "delay":
			next.delay, err = time.ParseDuration(value)
		case "ready":
			next.ready, err = strconv.ParseBool(value)
		default:
			err = fmt.Errorf("unknown switch; there are fail, delay and ready")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	f.state = next
	return nil
}

func ratio(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err == nil && !(value >= 0 && value <= 1) { // written so that NaN is refused too
		err = fmt.Errorf("%s is not between 0 and 1", text)
	}
	return value, err
}
