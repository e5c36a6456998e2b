"""What `kustomize build` and a Kubernetes node do, as far as `deploy/kubernetes` needs it."""
