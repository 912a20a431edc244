{{- define "marquee.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "marquee.labels" -}}
app.kubernetes.io/name: marquee
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "marquee.metadata" -}}
name: {{ include "marquee.name" .root }}-{{ .role }}
labels:
  {{- include "marquee.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "marquee.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}{{- else -}}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{/* Ports of the roles stand in streams/metrics_settings.py too; tests compare them. */}}
{{- define "marquee.port" -}}
{{- $offset := get (dict "trainer" 0 "recommender" 1 "planner" 2 "studio" 3 "console" 4) .role -}}
{{- add (int .root.Values.metrics.port) $offset -}}
{{- end -}}

{{- define "marquee.claim" -}}
{{- .Values.snapshots.volume.existingClaim | default (printf "%s-snapshots" (include "marquee.name" .)) -}}
{{- end -}}

{{/* A value as TOML: JSON's numbers, texts, booleans and lists are TOML's too. */}}
{{- define "marquee.toml" -}}
broker = {{ required "kafka.broker must be host:port, or several with commas between" .Values.kafka.broker | toJson }}
prefix = {{ .Values.kafka.prefix | toJson }}
snapshot_dir = {{ .Values.snapshots.url | default "/var/lib/marquee/snapshots" | toJson }}
cache_dir = "/var/cache/marquee"

[metrics]
host = "0.0.0.0"
port = {{ int .Values.metrics.port }}
stall_s = {{ int .Values.metrics.stallSeconds }}

[security]
protocol = {{ .Values.kafka.security.protocol | toJson }}
{{- if hasPrefix "SASL" .Values.kafka.security.protocol }}
mechanism = {{ .Values.kafka.security.mechanism | toJson }}
username = {{ required "kafka.security.username must be given for SASL" .Values.kafka.security.username | toJson }}
password_file = "/run/secrets/marquee/kafka/password"
{{- if not .Values.kafka.security.passwordSecret.name }}{{ fail "kafka.security.passwordSecret.name must name a Secret for SASL" }}{{ end }}
{{- end }}
{{- if .Values.kafka.security.caSecret.name }}
ca_file = "/run/secrets/marquee/ca/ca.crt"
{{- end }}

{{- $tables := deepCopy (.Values.settings | default dict) }}
{{- $studio := dict "store_dir" (.Values.studio.store | default "/var/lib/marquee/assets") }}
{{- $_ := set $tables "studio" (merge (get $tables "studio" | default dict) $studio) }}
{{- if .Values.console.enabled }}
{{- $hosts := .Values.console.hosts }}
{{- if not $hosts }}{{ fail "console.hosts must name the hosts that browsers reach the console by" }}{{ end }}
{{- $console := dict "host" "0.0.0.0" "hosts" $hosts }}
{{- if .Values.console.tokenSecret.name }}{{ $_ := set $console "token_file" "/run/secrets/marquee/console/token" }}{{ end }}
{{- $_ := set $tables "console" (merge (get $tables "console" | default dict) $console) }}
{{- end }}
{{- range $table, $values := $tables }}
{{- if has $table (list "metrics" "security") }}{{ fail (printf "settings.%s is made of other values of the chart" $table) }}{{ end }}
{{- if kindIs "map" $values }}
{{- include "marquee.table" (dict "name" $table "values" $values) }}
{{- else }}{{ fail (printf "settings.%s must be a table" $table) }}
{{- end }}
{{- end }}
{{ end -}}

{{- define "marquee.table" }}

[{{ .name }}]
{{- range $key, $value := .values }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ int64 $value }}{{ else }}{{ $value | toJson }}{{ end }}
{{- end }}
{{- end }}
{{- $name := .name }}
{{- range $key, $value := .values }}
{{- if kindIs "map" $value }}{{ include "marquee.table" (dict "name" (printf "%s.%s" $name $key) "values" $value) }}{{ end }}
{{- end }}
{{- end -}}

{{- define "marquee.mounts" -}}
- {name: config, mountPath: /etc/marquee, readOnly: true}
- {name: tmp, mountPath: /tmp}
- {name: cache, mountPath: /var/cache/marquee}
- {name: state, mountPath: /var/lib/marquee{{ if .readOnly }}, readOnly: true{{ end }}}
{{- with .root.Values.kafka.security }}
{{- if .passwordSecret.name }}
- {name: kafka-password, mountPath: /run/secrets/marquee/kafka, readOnly: true}
{{- end }}
{{- if .caSecret.name }}
- {name: kafka-ca, mountPath: /run/secrets/marquee/ca, readOnly: true}
{{- end }}
{{- end }}
{{- if and (eq .role "console") .root.Values.console.tokenSecret.name }}
- {name: console-token, mountPath: /run/secrets/marquee/console, readOnly: true}
{{- end }}
{{- end -}}

{{- define "marquee.volumes" -}}
- name: config
  configMap: {name: {{ include "marquee.name" .root }}-config}
- name: tmp
  emptyDir: {sizeLimit: {{ if eq .role "studio" }}16Gi{{ else }}1Gi{{ end }}}
- name: cache
  emptyDir: {sizeLimit: {{ .root.Values.cache.size }}}
- name: state
{{- if .keepsNothing }}
  emptyDir: {sizeLimit: 16Gi}
{{- else }}
  persistentVolumeClaim: {claimName: {{ include "marquee.claim" .root }}}
{{- end }}
{{- with .root.Values.kafka.security }}
{{- if .passwordSecret.name }}
- name: kafka-password
  secret: {secretName: {{ .passwordSecret.name }}, defaultMode: 0440, items: [{key: {{ .passwordSecret.key }}, path: password}]}
{{- end }}
{{- if .caSecret.name }}
- name: kafka-ca
  secret: {secretName: {{ .caSecret.name }}, defaultMode: 0440, items: [{key: {{ .caSecret.key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- if and (eq .role "console") .root.Values.console.tokenSecret.name }}
- name: console-token
  secret: {secretName: {{ .root.Values.console.tokenSecret.name }}, defaultMode: 0440, items: [{key: {{ .root.Values.console.tokenSecret.key }}, path: token}]}
{{- end }}
{{- end -}}

{{/* The pod's part that all have: who it is, where it may run, what it may do. */}}
{{- define "marquee.pod" -}}
automountServiceAccountToken: false
serviceAccountName: {{ include "marquee.name" .root }}
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* One role's Deployment. root, role, values; replicas: left out where a scaler sets them. */}}
{{- define "marquee.deployment" -}}
{{- $url := .root.Values.snapshots.url -}}
{{- if and (eq .role "studio") $url (not .root.Values.studio.store) }}{{ fail "studio.store must name a store for finished files where snapshots.url is set" }}{{ end -}}
{{- $keepsNothing := or (not (empty $url)) (and (has .role (list "studio" "console")) (not (empty .root.Values.studio.store))) -}}
{{- $readOnly := and (has .role (list "recommender" "console")) (not $keepsNothing) -}}
{{- $part := dict "root" .root "role" .role "keepsNothing" $keepsNothing "readOnly" $readOnly -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "marquee.metadata" . | nindent 2 }}
spec:
  {{- if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  strategy:
    {{- if .isAlone }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- end }}
  selector:
    matchLabels:
      {{- include "marquee.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "marquee.labels" . | nindent 8 }}
      annotations:
        marquee/settings: {{ include "marquee.toml" .root | sha256sum }}
        {{- if not .root.Values.metrics.podMonitor }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ include "marquee.port" . | quote }}
        {{- end }}
        {{- with .root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "marquee.pod" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ int .root.Values.gracePeriodSeconds }}
      containers:
        - name: {{ .role }}
          image: {{ include "marquee.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [run, --config, /etc/marquee/marquee.toml, --role, {{ .role }}]
          {{- with .root.Values.snapshots.credentialsSecret }}
          envFrom:
            - secretRef: {name: {{ . }}}
          {{- end }}
          ports:
            - {name: metrics, containerPort: {{ include "marquee.port" . }}}
            {{- if eq .role "console" }}
            - {name: http, containerPort: 8088}
            {{- end }}
          # It answers once the broker does; a restart while it waits for one loses nothing.
          startupProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 5
            failureThreshold: 180
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 20
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: metrics}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 1
          {{- if eq .role "console" }}
          lifecycle:
            preStop:
              exec: {command: [sleep, "5"]}  # until nobody is sent here any more
          {{- end }}
          securityContext:
            {{- toYaml .root.Values.securityContext | nindent 12 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            {{- include "marquee.mounts" $part | nindent 12 }}
      volumes:
        {{- include "marquee.volumes" $part | nindent 8 }}
{{- end -}}

{{- define "marquee.scaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "marquee.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "marquee.name" .root }}-{{ .role }}}
  minReplicas: {{ int .values.autoscaling.min }}
  maxReplicas: {{ int .values.autoscaling.max }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ int .values.autoscaling.cpuPercent }}}}
  behavior:
    scaleUp:
      policies: [{type: Pods, value: 1, periodSeconds: 180}]  # each new one moves partitions
    scaleDown:
      stabilizationWindowSeconds: 900
      policies: [{type: Pods, value: 1, periodSeconds: 300}]
{{- end -}}
