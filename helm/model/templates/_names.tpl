{{- define "model.name" -}}
{{- $name := default .Release.Name .Values.nameOverride -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot name a model: at most 40 lower-case letters, digits and -, a letter first; set nameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "model.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "model.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "model.routerImage" -}}
{{- default (printf "canario:%s" .Chart.AppVersion) .Values.router.image -}}
{{- end -}}

{{- define "model.workerImage" -}}
{{- default (include "model.routerImage" .) .Values.stream.image -}}
{{- end -}}

{{- define "model.trainerImage" -}}
{{- default (printf "canario-trainer:%s" .Chart.AppVersion) .Values.retraining.image -}}
{{- end -}}

{{/* The CronJob that the controller makes of a schedule: (list $ "weekly"). As canario/platforms/kubernetes/naming.py has it. */}}
{{- define "model.batchName" -}}
{{- $name := printf "%s-score-%s" (include "model.name" (index . 0)) (index . 1) -}}
{{- if gt (len $name) 48 -}}
{{- printf "%s-%s" (trunc 39 $name | trimAll "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* Labels of an object: (list $ "router"). The second word is the component, empty for what belongs to the whole model. */}}
{{- define "model.labels" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
helm.sh/chart: {{ $.Chart.Name }}-{{ $.Chart.Version | replace "+" "_" }}
{{ include "model.podLabels" . }}
{{- end -}}

{{/* Labels of a pod: nothing that changes with the chart alone, so that a new chart restarts no router. */}}
{{- define "model.podLabels" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
app.kubernetes.io/name: {{ include "model.name" $ }}
app.kubernetes.io/part-of: canario
canario.dev/model: {{ include "model.name" $ }}
{{- with $component }}
app.kubernetes.io/component: {{ . }}
canario.dev/component: {{ . }}
{{- end }}
{{- end -}}

{{/* What selects pods: (list $ "router"). Immutable in a Deployment, so it holds nothing that changes with a version. */}}
{{- define "model.selector" -}}
canario.dev/model: {{ include "model.name" (index . 0) }}
canario.dev/component: {{ index . 1 }}
{{- end -}}

{{- define "model.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "model.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
