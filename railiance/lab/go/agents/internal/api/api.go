// Package api is the little of the Kubernetes API that the lab's own programs need.
package api

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Client calls one API server under one certificate.
type Client struct {
	server string
	client *http.Client
}

// Metadata names an object.
type Metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Deletion    string            `json:"deletionTimestamp"`
}

// Claim is a PersistentVolumeClaim.
type Claim struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		AccessModes      []string       `json:"accessModes"`
		StorageClassName string         `json:"storageClassName"`
		VolumeName       string         `json:"volumeName"`
		Selector         map[string]any `json:"selector"`
		Resources        struct {
			Requests struct {
				Storage string `json:"storage"`
			} `json:"requests"`
		} `json:"resources"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// Volume is a PersistentVolume.
type Volume struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		ReclaimPolicy string `json:"persistentVolumeReclaimPolicy"`
		Local         struct {
			Path string `json:"path"`
		} `json:"local"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// Pod is a Pod.
type Pod struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		NodeName   string `json:"nodeName"`
		Containers []struct {
			Ports []Port `json:"ports"`
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
		PodIP string `json:"podIP"`
	} `json:"status"`
}

// Port is a port that a container declares.
type Port struct {
	Name          string `json:"name"`
	ContainerPort int    `json:"containerPort"`
}

// Access are the flags by which a program is told its API server and its certificate.
type Access struct {
	server, ca, certificate, key string
}

// AccessFlags declares the flags; call it before flag.Parse.
func AccessFlags() *Access {
	a := &Access{}
	flag.StringVar(&a.server, "server", "", "URL of the API server")
	flag.StringVar(&a.ca, "ca", "", "file with the API server's authority")
	flag.StringVar(&a.certificate, "certificate", "", "file with our certificate")
	flag.StringVar(&a.key, "key", "", "file with our key")
	return a
}

// Client returns a client for what the flags said.
func (a *Access) Client() (*Client, error) {
	ca, err := os.ReadFile(a.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", a.ca)
	}
	own, err := tls.LoadX509KeyPair(a.certificate, a.key)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
	}
	return &Client{server: a.server, client: &http.Client{Transport: transport, Timeout: 10 * time.Second}}, nil
}

// Claims lists the claims of all namespaces.
func (c *Client) Claims() ([]Claim, error) { return list[Claim](c, "/api/v1/persistentvolumeclaims") }

// Volumes lists all volumes.
func (c *Client) Volumes() ([]Volume, error) { return list[Volume](c, "/api/v1/persistentvolumes") }

// Pods lists the pods of all namespaces.
func (c *Client) Pods() ([]Pod, error) { return list[Pod](c, "/api/v1/pods") }

func list[T any](c *Client, path string) ([]T, error) {
	var found struct {
		Items []T `json:"items"`
	}
	_, err := c.call(http.MethodGet, path, nil, &found)
	return found.Items, err
}

// CreateVolume says whether it is new; that it exists already is no error.
func (c *Client) CreateVolume(body map[string]any) (bool, error) {
	status, err := c.call(http.MethodPost, "/api/v1/persistentvolumes", body, nil)
	if status == http.StatusConflict {
		return false, nil
	}
	return err == nil, err
}

// DeleteVolume takes it for good if the volume is gone already.
func (c *Client) DeleteVolume(name string) error {
	status, err := c.call(http.MethodDelete, "/api/v1/persistentvolumes/"+name, nil, nil)
	if status == http.StatusNotFound {
		return nil
	}
	return err
}

func (c *Client) call(method, path string, body, into any) (int, error) {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		sent = bytes.NewReader(raw)
	}
	request, err := http.NewRequest(method, c.server+path, sent)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return answer.StatusCode, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return answer.StatusCode, fmt.Errorf("%s %s: %s: %.300s", method, path, answer.Status, raw)
	}
	if into == nil {
		return answer.StatusCode, nil
	}
	return answer.StatusCode, json.Unmarshal(raw, into)
}
