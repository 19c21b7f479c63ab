// Command discoverer tells Prometheus which pods to scrape: Debian's build of Prometheus cannot ask Kubernetes itself.
//
// It looks at all pods once a second and keeps two files for Prometheus' file_sd: traefik.json with the port `metrics` of
// Traefik's pods, pods.json with every other running pod that is annotated `prometheus.io/scrape: "true"`.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"railiance.lab/agents/internal/api"
)

// target is an entry of a file_sd file.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func main() {
	access := api.AccessFlags()
	folder := flag.String("folder", "", "folder for the files")
	flag.Parse()
	client, err := access.Client()
	if err != nil {
		log.Fatal(err)
	}
	for {
		if err := look(client, *folder); err != nil {
			log.Print(err) // the files stay as they are, and the next look tries again
		}
		time.Sleep(time.Second)
	}
}

func look(client *api.Client, folder string) error {
	pods, err := client.Pods()
	if err != nil {
		return err
	}
	traefik, annotated := sortOut(pods)
	if err := write(filepath.Join(folder, "traefik.json"), traefik); err != nil {
		return err
	}
	return write(filepath.Join(folder, "pods.json"), annotated)
}

func sortOut(pods []api.Pod) (traefik, annotated []target) {
	traefik, annotated = []target{}, []target{} // an empty list, not null, when there are none
	for _, pod := range pods {
		if pod.Status.Phase != "Running" || pod.Status.PodIP == "" {
			continue
		}
		if pod.Metadata.Labels["app.kubernetes.io/name"] == "traefik" {
			if port := portNamed(pod, "metrics"); port != "" {
				traefik = append(traefik, targetOf(pod, port))
			}
		} else if pod.Metadata.Annotations["prometheus.io/scrape"] == "true" {
			if port := annotatedPort(pod); port != "" {
				annotated = append(annotated, targetOf(pod, port))
			}
		}
	}
	return traefik, annotated
}

// targetOf names a pod the way that Prometheus' own discovery usually does.
func targetOf(pod api.Pod, port string) target {
	labels := map[string]string{
		"namespace": pod.Metadata.Namespace,
		"pod":       pod.Metadata.Name,
		"node":      pod.Spec.NodeName,
	}
	for name, value := range pod.Metadata.Labels {
		if strings.HasPrefix(name, "app.kubernetes.io/") || strings.HasPrefix(name, "railiance") {
			labels[unusable.ReplaceAllString(name, "_")] = value
		}
	}
	if path := pod.Metadata.Annotations["prometheus.io/path"]; path != "" {
		labels["__metrics_path__"] = path
	}
	return target{Targets: []string{net.JoinHostPort(pod.Status.PodIP, port)}, Labels: labels}
}

var unusable = regexp.MustCompile(`[^a-zA-Z0-9_]`)

func portNamed(pod api.Pod, name string) string {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name || name == "" {
				return strconv.Itoa(port.ContainerPort)
			}
		}
	}
	return ""
}

// annotatedPort is the annotated port, as number or name, else the first that a container declares.
func annotatedPort(pod api.Pod) string {
	port := pod.Metadata.Annotations["prometheus.io/port"]
	if _, err := strconv.Atoi(port); err == nil {
		return port
	}
	return portNamed(pod, port)
}

// write changes a file in one step, and only if its content is new, for each change makes Prometheus read it.
func write(path string, targets []target) error {
	wanted, err := json.MarshalIndent(targets, "", " ")
	if err != nil {
		return err
	}
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, wanted) {
		return nil
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, wanted, 0o644); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	log.Print(fmt.Sprintf("%s: %d targets", filepath.Base(path), len(targets)))
	return nil
}
