# bash completion for cproto-send(1).
_cproto_send() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  # "--option=value" comes as three words.
  if [[ $current == "=" ]]; then
    current=
  elif [[ $previous == "=" ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
    --operation-mode)
      mapfile -t COMPREPLY < <(compgen -W "burst step-by-step" -- "$current")
      return
      ;;
    --congestion)
      mapfile -t COMPREPLY < <(compgen -W "auto system bbr cubic" -- "$current")
      return
      ;;
    --require)
      mapfile -t COMPREPLY < <(compgen -W "fsync replicated any" -- "$current")
      return
      ;;
    -s | --server-addr)
      mapfile -t COMPREPLY < <(compgen -A hostname -- "$current")
      return
      ;;
    : | -m | -p | --server-port | -i | --client-id | -c | --channel | --window-size | --max-packet-size | --timeout | --as | --server-name)
      return
      ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "-m -l --lines --binary --follow --journal --directory --from-end --as --restart --state --check -s --server-addr -p --server-port -i --client-id -c
      --channel --key --ca --certificate --certificate-key --tls --server-name --operation-mode --window-size --max-packet-size --congestion --require --timeout -q --quiet -v --verbose --json --trace --version
      -h --help" -- "$current")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -F _cproto_send cproto-send
