{{/* The app: the chart carries its id, because `charts/<id>` is a copy made for it. */}}
{{- define "railiance.app" -}}
{{- .Chart.Name -}}
{{- end -}}

{{- define "railiance.stableRelease" -}}
{{- .Values.railiance.stableRelease | default .Chart.Name -}}
{{- end -}}

{{- define "railiance.canaryRelease" -}}
{{- .Values.railiance.canaryRelease | default (printf "%s-canary" (include "railiance.stableRelease" .)) -}}
{{- end -}}

{{/*
The helm_release is the track. The name decides and not the stage alone: while a promotion runs, the canary
helm_release carries the production values, and must still be told apart.
*/}}
{{- define "railiance.track" -}}
{{- if or (eq .Values.railiance.stage "canary") (eq .Release.Name (include "railiance.canaryRelease" .)) -}}
canary
{{- else -}}
stable
{{- end -}}
{{- end -}}

{{/* Never more than these two: a Deployment's selector can not be changed, so no upgrade or rollback may move it. */}}
{{- define "railiance.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The candidate's first 12 digits: a label holds neither a colon nor a whole digest. */}}
{{- define "railiance.podLabels" -}}
{{ include "railiance.selectorLabels" . }}
{{- with include "railiance.version" . }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
railiance.dev/app: {{ include "railiance.app" . | quote }}
railiance.dev/track: {{ include "railiance.track" . }}
{{- with .Values.railiance.candidate }}
railiance.dev/candidate: {{ . | trimPrefix "sha256:" | trunc 12 | quote }}
{{- end }}
{{- end -}}

{{- define "railiance.labels" -}}
{{ include "railiance.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "railiance.version" -}}
{{- if .Values.image.tag -}}
{{- .Values.image.tag | trunc 63 | trimAll "-_." -}}
{{- else -}}
{{- .Values.image.digest | trimPrefix "sha256:" | trunc 12 -}}
{{- end -}}
{{- end -}}

{{- define "railiance.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository .tag -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "railiance.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default .Release.Name -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "railiance.scrapeAnnotations" -}}
{{- if .Values.metrics.enabled -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.containerPort | quote }}
prometheus.io/path: {{ .Values.metrics.path | quote }}
{{- end -}}
{{- end -}}

{{- define "railiance.probe" -}}
httpGet:
  path: {{ .path | quote }}
  port: http
  {{- with .hostHeader }}
  httpHeaders:
    - name: Host
      value: {{ . | quote }}
  {{- end }}
initialDelaySeconds: {{ .initialDelaySeconds }}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end -}}

{{/* What the schema cannot say: it is asked once, by the Deployment, so that nothing renders from a contradiction. */}}
{{- define "railiance.validate" -}}
{{- $r := .Values.railiance -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: set it to the image's repository, without tag" -}}
{{- end -}}
{{- if not (or .Values.image.digest .Values.image.tag) -}}
{{- fail "image.digest and image.tag are both empty: set image.digest (sha256:...), or a tag that never moves" -}}
{{- end -}}
{{- if and (eq $r.stage "canary") (eq .Release.Name (include "railiance.stableRelease" .)) -}}
{{- fail (printf "railiance.stage is canary, but helm_release %s is railiance.stableRelease: the canary would overwrite stable; install it as %s" .Release.Name (include "railiance.canaryRelease" .)) -}}
{{- end -}}
{{- if eq (include "railiance.stableRelease" .) (include "railiance.canaryRelease" .) -}}
{{- fail "railiance.stableRelease and railiance.canaryRelease are equal: give each track a helm_release of its own" -}}
{{- end -}}
{{- if $r.maintenance -}}
{{- fail "railiance.maintenance is true, but this version of the chart has no maintenance page: leave it false" -}}
{{- end -}}
{{- end -}}

{{/* Who renders the weight objects: the stable helm_release, and only while no engine owns them. */}}
{{- define "railiance.ownsRoute" -}}
{{- $r := .Values.railiance -}}
{{- if and (eq $r.traffic.mode "weighted") (not $r.traffic.managed) (eq $r.stage "stable") (eq (include "railiance.track" .) "stable") -}}
{{- if not $r.traffic.host -}}
{{- fail "railiance.traffic.mode is weighted, but railiance.traffic.host is empty: set the public host" -}}
{{- end -}}
{{- if ne (add (int $r.traffic.stableWeight) (int $r.traffic.canaryWeight)) 100 -}}
{{- fail (printf "railiance.traffic.stableWeight %d and canaryWeight %d do not add up to 100" (int $r.traffic.stableWeight) (int $r.traffic.canaryWeight)) -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{- define "railiance.route" -}}
{{- .Values.railiance.traffic.route | default (include "railiance.app" .) -}}
{{- end -}}

{{/*
`keep`: when an engine takes the route over (managed becomes true), the object leaves Helm's manifest; without
this annotation Helm would delete the route under the users.
*/}}
{{- define "railiance.routeMetadata" -}}
name: {{ include "railiance.route" . | quote }}
labels:
  {{- include "railiance.labels" . | nindent 2 }}
annotations:
  helm.sh/resource-policy: keep
{{- end -}}

{{/* The two backends, as a list of name, port and weight. One at weight 0 is left out: an empty one can take the whole route down. */}}
{{- define "railiance.backends" -}}
{{- $port := int .Values.service.port -}}
{{- $stable := dict "name" (include "railiance.stableRelease" .) "weight" (int .Values.railiance.traffic.stableWeight) -}}
{{- $canary := dict "name" (include "railiance.canaryRelease" .) "weight" (int .Values.railiance.traffic.canaryWeight) -}}
{{- range list $stable $canary }}
{{- if gt .weight 0 }}
- name: {{ .name | quote }}
  kind: Service
  port: {{ $port }}
  weight: {{ .weight }}
{{- end }}
{{- end }}
{{- end -}}
