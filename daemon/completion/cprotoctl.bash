# bash completion for cprotoctl(1). Names of clients and sessions are asked of the daemon, which answers at once or not at all.
_cprotoctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word command= words=
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      status | sessions | why | kick | forget | drain | reload | verify | metrics | cat) command=$word && break ;;
    esac
  done
  case $previous in
    --socket | --output) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
  esac
  case $command in
    "") words="status sessions why kick forget drain reload verify metrics cat --socket --directory --json --version -h --help" ;;
    sessions) words="--unfinished $(cprotoctl sessions 2>/dev/null | awk 'NR > 1 { print $1 }')" ;;
    why) words=$(cprotoctl sessions 2>/dev/null | awk 'NR > 1 { print $1 }') ;;
    kick) words=$(cprotoctl sessions 2>/dev/null | awk 'NR > 1 { print $1; print $2 }') ;;
    forget) words=$(cprotoctl sessions 2>/dev/null | awk 'NR > 1 { print $2 }') ;;
    metrics) words="--output" ;;
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
