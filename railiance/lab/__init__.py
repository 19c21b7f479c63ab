"""A real Kubernetes cluster on one machine, for tests, demonstrations and practice.

lab = railiance.lab.up()                          # an existing cluster, kind, or processes of this machine
image = railiance.lab.build_demo_image("v2")      # the demo application, in the lab's own registry
railiance.lab.status()                            # what runs, and where it answers
railiance.lab.down()
"""

from railiance.lab.labstatus import LabStatus
from railiance.lab.lifecycle import build_demo_image, down, load_image, status, up
from railiance.lab.registry import ImageRef

__all__ = ["ImageRef", "LabStatus", "build_demo_image", "down", "load_image", "status", "up"]
