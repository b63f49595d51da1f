# bash completion for cprotod(8).
_cprotod() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  # "--option=value" comes as three words.
  if [[ $current == "=" ]]; then
    current=
  elif [[ $previous == "=" ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
    --config) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    --host | --port | --max-size) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "--config --directory --host --port --max-size --check-config --print-config --verify
         --version -h --help" -- "$current") ;;
  esac
}
complete -F _cprotod cprotod
