# bash completion for cprotoctl(1).

# Prints these columns of the sessions of the daemon in question. Nobody waits for one that does not answer.
_cprotoctl_names() {
  local i word value where=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    [[ $word == --socket || $word == --directory ]] || continue
    [[ ${COMP_WORDS[i + 1]} == "=" ]] && ((++i))
    value=${COMP_WORDS[i + 1]}
    where+=("$word" "${value/#\~/$HOME}")
  done
  timeout 1 cprotoctl "${where[@]}" sessions 2>/dev/null | awk -v columns="$*" '
    BEGIN { count = split(columns, wanted, " ") }
    NR > 1 { for (i = 1; i <= count; ++i) print $wanted[i] }'
}

_cprotoctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word command="" words=""
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      status | sessions | why | kick | forget | drain | reload | verify | metrics | key | cat) command=$word && break ;;
    esac
  done
  # "--option=value" comes as three words.
  if [[ $current == "=" ]]; then
    current=
  elif [[ $previous == "=" ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
    --socket | --output | --file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
  esac
  case $command in
    "") words="status sessions why kick forget drain reload verify metrics key cat --socket --directory --json --version -h --help" ;;
    sessions) words="--unfinished $(_cprotoctl_names 1)" ;;
    why) words=$(_cprotoctl_names 1) ;;
    kick) words=$(_cprotoctl_names 1 2) ;;
    forget) words=$(_cprotoctl_names 2) ;;
    metrics) words="--output" ;;
    key) words="add list remove --old --file" ;;
    cat)
      if [[ $current != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -X '!*.bin' -- "$current"; compgen -d -- "$current")
        return
      fi
      words="--null --raw"
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _cprotoctl cprotoctl
