{{- define "canario.name" -}}
{{- $name := default .Release.Name .Values.nameOverride -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot name the controller: at most 40 lower-case letters, digits and -, a letter first; set nameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "canario.serviceAccount" -}}
{{- default (include "canario.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "canario.image" -}}
{{- default (printf "canario:%s" .Chart.AppVersion) .Values.image -}}
{{- end -}}

{{/* The namespaces whose models are rolled out, as a YAML list. */}}
{{- define "canario.namespaces" -}}
{{- .Values.namespaces | default (list .Release.Namespace) | toYaml -}}
{{- end -}}

{{/* What selects the pods. Immutable in a Deployment, so it holds nothing that changes with a version. */}}
{{- define "canario.selector" -}}
canario.dev/component: controller
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "canario.labels" -}}
app.kubernetes.io/name: canario
app.kubernetes.io/component: controller
app.kubernetes.io/part-of: canario
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{ include "canario.selector" . }}
{{- end -}}
