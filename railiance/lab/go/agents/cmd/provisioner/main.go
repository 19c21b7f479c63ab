// Command provisioner gives each claim of one storage class a folder of its own, as a PersistentVolume tied to the
// node that the scheduler chose, and removes folder and volume after the claim is gone.
//
// It looks at all claims and volumes once a second and does what is missing. A look is cheap in a lab, needs no memory
// between two looks, and may be repeated after a crash at any line: names follow from the claim's uid, a folder may
// exist already, and a volume that exists already is left alone.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
	"time"

	"railiance.lab/agents/internal/api"
)

type provisioner struct {
	client *api.Client
	class  string
	name   string // by which claims and volumes name their provisioner
	folder string // holds one folder a node
}

func main() {
	p := &provisioner{}
	access := api.AccessFlags()
	flag.StringVar(&p.class, "class", "", "storage class to serve")
	flag.StringVar(&p.name, "name", "", "name of this provisioner in the storage class")
	flag.StringVar(&p.folder, "folder", "", "folder for the volumes")
	flag.Parse()
	client, err := access.Client()
	if err != nil {
		log.Fatal(err)
	}
	p.client = client
	for {
		if err := p.look(); err != nil {
			log.Print(err) // the next look tries again
		}
		time.Sleep(time.Second)
	}
}

func (p *provisioner) look() error {
	claims, err := p.client.Claims()
	if err != nil {
		return err
	}
	for _, claim := range claims {
		if err := p.provide(claim); err != nil {
			log.Printf("claim %s/%s: %v", claim.Metadata.Namespace, claim.Metadata.Name, err)
		}
	}
	volumes, err := p.client.Volumes()
	if err != nil {
		return err
	}
	for _, volume := range volumes {
		if err := p.collect(volume); err != nil {
			log.Printf("volume %s: %v", volume.Metadata.Name, err)
		}
	}
	return nil
}

// provide makes the volume of a claim that waits for one on a chosen node.
func (p *provisioner) provide(c api.Claim) error {
	node := c.Metadata.Annotations["volume.kubernetes.io/selected-node"]
	if c.Status.Phase != "Pending" || c.Spec.StorageClassName != p.class || c.Spec.VolumeName != "" || node == "" {
		return nil
	}
	if selector := c.Spec.Selector; selector != nil {
		return nil // asks for a volume that somebody makes by hand
	}
	name := "pvc-" + c.Metadata.UID
	folder := filepath.Join(p.folder, node, name)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o777); err != nil { // past the umask: pods run as any user
		return err
	}
	created, err := p.client.CreateVolume(p.volume(c, name, node, folder))
	if created {
		log.Printf("made %s on %s for %s/%s", name, node, c.Metadata.Namespace, c.Metadata.Name)
	}
	return err
}

// collect removes a volume of ours whose claim is gone, if its class says so.
func (p *provisioner) collect(v api.Volume) error {
	ours := v.Metadata.Annotations["pv.kubernetes.io/provisioned-by"] == p.name
	if !ours || v.Status.Phase != "Released" || v.Spec.ReclaimPolicy != "Delete" {
		return nil
	}
	relative, err := filepath.Rel(p.folder, v.Spec.Local.Path)
	if err != nil || !filepath.IsLocal(relative) || relative == "." {
		return nil // not one of our folders, whatever its annotation says: leave it alone
	}
	if err := os.RemoveAll(v.Spec.Local.Path); err != nil {
		return err
	}
	log.Printf("removed %s", v.Metadata.Name)
	return p.client.DeleteVolume(v.Metadata.Name)
}

func (p *provisioner) volume(c api.Claim, name, node, folder string) map[string]any {
	return map[string]any{
		"apiVersion": "v1",
		"kind":       "PersistentVolume",
		"metadata": map[string]any{
			"name":        name,
			"annotations": map[string]string{"pv.kubernetes.io/provisioned-by": p.name},
		},
		"spec": map[string]any{
			"capacity":                      map[string]string{"storage": c.Spec.Resources.Requests.Storage},
			"accessModes":                   c.Spec.AccessModes,
			"persistentVolumeReclaimPolicy": "Delete",
			"storageClassName":              p.class,
			"volumeMode":                    "Filesystem",
			"local":                         map[string]string{"path": folder},
			"claimRef": map[string]string{
				"apiVersion": "v1", "kind": "PersistentVolumeClaim",
				"namespace": c.Metadata.Namespace, "name": c.Metadata.Name, "uid": c.Metadata.UID,
			},
			"nodeAffinity": map[string]any{"required": map[string]any{"nodeSelectorTerms": []any{
				map[string]any{"matchExpressions": []any{map[string]any{
					"key": "kubernetes.io/hostname", "operator": "In", "values": []string{node},
				}}},
			}}},
		},
	}
}
